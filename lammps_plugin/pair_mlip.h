/* -*- c++ -*- ----------------------------------------------------------
   Pair style mlip: machine-learned interatomic potentials with conservative and
   non-conservative forces. See README.md beside this file for the syntax, and for how
   the classes of this folder work together.
------------------------------------------------------------------------- */

#ifdef PAIR_CLASS
// clang-format off
PairStyle(mlip,PairMLIP);
// clang-format on
#else

#ifndef LMP_PAIR_MLIP_H
#define LMP_PAIR_MLIP_H

#include "pair.h"

#include <string>

namespace mlip {
class ElementMap;
struct ModelInfo;
struct PresentEvaluation;
struct PropertyTerms;
struct Settings;
}    // namespace mlip

namespace LAMMPS_NS {

class PairMLIP : public Pair {
 public:
  PairMLIP(class LAMMPS *);
  ~PairMLIP() override;

  void settings(int, char **) override;
  void coeff(int, char **) override;
  void init_style() override;
  double init_one(int, int) override;
  void setup() override;

  void compute(int, int) override;
  void compute_inner() override;
  void compute_middle() override;
  void compute_outer(int, int) override;

  void write_restart(FILE *) override;
  void read_restart(FILE *) override;
  void write_restart_settings(FILE *) override;
  void read_restart_settings(FILE *) override;

  int pack_forward_comm(int, int *, double *, int, int *) override;
  void unpack_forward_comm(int, int, double *) override;
  int pack_reverse_comm(int, int, double *) override;
  void unpack_reverse_comm(int, int *, double *) override;

  void *extract(const char *, int &) override;
  double memory_usage() override;

  /// |C - NC| of each owned atom at the present positions, eV/A; 0 for atoms without an element
  void atomic_disagreement(double *);
  // for a committee of models, of which this one drives the simulation
  const mlip::Settings &driving_settings() const;
  const mlip::ElementMap &driving_elements() const;
  /// energy, conservative forces and virial at the present positions
  mlip::PresentEvaluation conservative_here();
  // for compute mlip/property: what the file says, and what each owned atom gives; null without atoms
  const mlip::ModelInfo &model_info() const;
  const std::string &model_path() const;
  const mlip::PropertyTerms *properties_here();
  /// at the end of a step: stop if the heads disagreed by more than the limit
  void stop_if_unsure();
  /// the fix that asks for the above is gone
  void lose_guard();

 private:
  struct State;    // settings, model, elements, and the forces
  State *state;

  void allocate();
  void set_flags(int);
  void apply_settings(const std::string &);
  void apply_coeff(const std::string &);
  void load_model(const std::string &);
  void init_non_conservative();
  void init_correction();
  PairMLIP *sub_style(int) const;
  State &evaluating_state();
  double cutoff_of_committees();
  void apply_correction();
};

}    // namespace LAMMPS_NS

#endif
#endif
