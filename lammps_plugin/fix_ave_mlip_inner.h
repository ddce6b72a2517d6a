/* -*- c++ -*- ----------------------------------------------------------
   Fix ave/mlip/inner: averages over the innermost steps of r-RESPA. The ends of outer steps, where
   LAMMPS writes and averages, lie at the kicks of the slow force and show stiff motion wrongly.
------------------------------------------------------------------------- */

#ifndef LMP_FIX_AVE_MLIP_INNER_H
#define LMP_FIX_AVE_MLIP_INNER_H

#include "fix.h"

#include <string>
#include <vector>

namespace LAMMPS_NS {

class FixAveMLIPInner : public Fix {
 public:
  FixAveMLIPInner(class LAMMPS *, int, char **);
  ~FixAveMLIPInner() override;

  int setmask() override;
  void init() override;
  void setup(int) override;
  void post_force(int) override;
  void final_integrate() override;
  void post_force_respa(int, int, int) override;
  void final_integrate_respa(int, int) override;

  double compute_vector(int) override;
  double compute_array(int, int) override;

  void grow_arrays(int) override;
  void copy_arrays(int, int, int) override;
  void set_arrays(int) override;
  int pack_exchange(int, double *) override;
  int unpack_exchange(int, double *) override;
  double memory_usage() override;

 private:
  struct Value {
    std::string id;    // of a compute
    int column;        // 1, 2, ... in brackets; 0 without
    class Compute *compute;
  };

  int window;    // outer steps of an average
  int seed = 4711;
  bool takes_vectors = false;    // mode vector
  std::vector<Value> values;
  int n_rows = 1;    // of each value

  const int *n_levels = nullptr;       // of run_style respa
  bigint last_step = -1;               // that was sampled, or set up
  bool has_stepped = false;            // since it was set up
  uint32_t inner = 0;                  // innermost steps of it so far
  double n_samples = 0.0;              // of the values in this window
  std::vector<double> sums, means;     // (n_rows, n values)
  double **position_sums = nullptr;    // (nmax, 4): unwrapped positions, and how many they are

  void read_value(const std::string &);
  void read_keywords(int, char **);
  void find_computes();
  void announce_output();
  void begin_window();
  void sample();
  void sample_positions();
  void sample_values(std::vector<double> &);
  void refuse_what_was_tallied();
  void end_window();
};

}    // namespace LAMMPS_NS

#endif
