// Adds results of the model to what LAMMPS sums up: forces, energy and virial, in the units of the
// simulation.

#ifndef MLIP_TALLY_H
#define MLIP_TALLY_H

#include "pointers.h"

#include <string>
#include <vector>

namespace LAMMPS_NS {
class Pair;
}

namespace mlip {

class Agreement;
struct Evaluation;

class Tally : protected LAMMPS_NS::Pointers {
 public:
  explicit Tally(LAMMPS_NS::LAMMPS *lmp) : Pointers(lmp) {}

  /// Take over the unit of energy; an error if it is neither that of `units metal` nor of `units real`.
  void set_units();

  /// Forces (n_owned, 3) in eV/A, times `factor`.
  void add_forces(const std::vector<int> &owned, const std::vector<double> &forces,
                  double factor) const;

  /// Energy and virial, in total and per atom, times `factor`, as far as the style `to` is asked for them in this step. `file`
  /// is the model file, for an error if it lacks what is needed. Called by all processes.
  void add_energy_and_virial(LAMMPS_NS::Pair &to, const std::vector<int> &owned,
                             const Evaluation &full, double factor, const Agreement &processes,
                             const std::string &file) const;

  /// The virial alone, in eV, times `factor`.
  void add_virial(LAMMPS_NS::Pair &to, const double (*virial)[3], double factor) const;

 private:
  double from_ev_ = 1.0;    // eV -> energy unit of this simulation
};

}    // namespace mlip

#endif
