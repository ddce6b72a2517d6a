/* -*- c++ -*- ----------------------------------------------------------
   Pair style mlip: machine-learned interatomic potentials with conservative and
   non-conservative forces. See README.md beside this file for the syntax.
------------------------------------------------------------------------- */

#ifdef PAIR_CLASS
// clang-format off
PairStyle(mlip,PairMLIP);
// clang-format on
#else

#ifndef LMP_PAIR_MLIP_H
#define LMP_PAIR_MLIP_H

#include "pair.h"

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

  double memory_usage() override;

 private:
  struct Data;
  Data *data;    // the model, the graph, and the last evaluations

  void allocate();
  void load_model(const std::string &);
  void map_elements(char **);

  void gather();
  void evaluate(bool, bool);
  void evaluate_non_conservative();
  void scatter(const double *, double);
  void tally();

  int inner_steps_of_integrator() const;
  void require_respa_support();
  void require_finite(const double *, const char *) const;
  void measure_disagreement();
};

}    // namespace LAMMPS_NS

#endif
#endif
