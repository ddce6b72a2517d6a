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

#include <string>
#include <vector>

namespace mlip {
struct Evaluation;
}

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

  double memory_usage() override;

  /// |C - NC| of each owned atom at the present positions, eV/A; 0 for atoms without an element
  void atomic_disagreement(double *);
  /// at the end of a step: stop if the heads disagreed by more than the limit
  void stop_if_unsure();
  /// the fix that asks for the above is gone
  void lose_guard();

 private:
  struct Data;
  class Exchange;
  Data *data;    // the model, the graph, and the last evaluations

  void allocate();
  void apply_settings(const std::string &);
  void apply_coeff(const std::string &);
  void load_model(const std::string &);
  void map_elements(const std::string *);
  void require_one_file(const std::string &);
  std::string on_this_machine() const;
  void check_masses() const;
  void check_pairs() const;
  void init_non_conservative();
  void init_correction();
  void init_guard();
  void require_all_levels() const;

  template <typename Work> void together(Work &&);
  void init_exchange();
  double estimate_halo() const;
  void init_ghosts();
  void send_to_ghosts(int);
  void sum_at_owners(int);

  bool gather(bool for_non_conservative_only = false);
  void update_graph(int);
  void learn_homes();
  void tell_graph();
  void evaluate(bool, bool);
  void evaluate_non_conservative();
  void collect(mlip::Evaluation &);
  void remove_net_force(std::vector<double> &);
  void add_from_ghosts(std::vector<double> &, int);
  bool has_full(const Data &, bool) const;
  void scatter(const double *, double);
  void tally(const Data &);
  void compute_non_conservative();

  void apply_non_conservative(bool);
  void apply_correction(PairMLIP &);
  void require_respa_support();
  int inner_steps_of_integrator() const;
  void plan_rebuild();

  void check_forces(const double *, const char *);
  void measure_disagreement();
  void judge_disagreement(double, int);
  void show(int, double);
  [[noreturn]] void stop_at_atom(int, const double *, const std::string &);
  std::string write_neighborhood(int, const double *) const;
};

}    // namespace LAMMPS_NS

#endif
#endif
