/* -*- c++ -*- ----------------------------------------------------------
   Fix nve/mlip/highpass: moves atoms at constant temperature with a bath that takes heat out of
   fast motion of light atoms and leaves slow motion alone. It acts in the innermost steps of
   r-RESPA, where an outer step beyond the resonance brings that heat in.
------------------------------------------------------------------------- */

#ifndef LMP_FIX_NVE_MLIP_HIGHPASS_H
#define LMP_FIX_NVE_MLIP_HIGHPASS_H

#include "fix.h"

#include <vector>

namespace LAMMPS_NS {

class FixNVEMLIPHighPass : public Fix {
 public:
  FixNVEMLIPHighPass(class LAMMPS *, int, char **);
  ~FixNVEMLIPHighPass() override;

  int setmask() override;
  void init() override;
  void initial_integrate(int) override;
  void final_integrate() override;
  void initial_integrate_respa(int, int, int) override;
  void final_integrate_respa(int, int) override;

  /// Minus the heat that the atoms were given so far: with the total energy, a conserved quantity.
  double compute_scalar() override;

  void grow_arrays(int) override;
  void copy_arrays(int, int, int) override;
  void set_arrays(int) override;
  int pack_exchange(int, double *) override;
  int unpack_exchange(int, double *) override;
  int pack_restart(int, double *) override;
  void unpack_restart(int, int) override;
  int size_restart(int) override;
  int maxsize_restart() override;
  void write_restart(FILE *) override;
  void restart(char *) override;
  double memory_usage() override;

 private:
  double t_start, t_stop;    // K
  int seed;
  double friction_g = 200.0, rate_a = 100.0, friction_k = 2.0;    // 1/ps
  double light_mass = 4.5;                                        // g/mol
  std::vector<char> is_light_type;       // (ntypes + 1), empty if masses decide
  const double *step_respa = nullptr;    // (n_levels) of run_style respa
  double **s = nullptr;    // (nmax, 3), of the dimension of a velocity; nan until it is drawn
  double heat = 0.0;       // given to the atoms of this process
  bigint last_step = -1;
  uint32_t inner = 0;    // innermost steps of this step so far

  void read_keywords(int, char **);
  void refuse_constraints_and_barostats();
  double mass_of(int) const;
  bool is_light(int) const;
  double temperature() const;
  void move_freely(double);
  void kick(double);
  void drift(double);
  void apply_baths(double);
};

}    // namespace LAMMPS_NS

#endif
