// The last evaluation of energy and forces, and the positions it belongs to: the outer call of an r-RESPA
// step takes over what the last inner call has evaluated, and a committee what the step has.

#ifndef MLIP_LAST_EVALUATION_H
#define MLIP_LAST_EVALUATION_H

#include "model.h"

#include <vector>

namespace LAMMPS_NS {
class Atom;
}

namespace mlip {

class LastEvaluation {
 public:
  /// Where the next evaluation is put. It belongs to no positions until keep() says so.
  Evaluation &start();

  /// It is complete, at the present positions, with conservative or with both kinds of forces.
  void keep(const LAMMPS_NS::Atom &atom, bool with_non_conservative);

  void forget() { is_kept_ = false; }

  /// Whether it was kept at exactly the present positions of owned and ghost atoms, with everything that is needed
  /// of `n_atoms` atoms of the model.
  bool is_here(const LAMMPS_NS::Atom &atom, size_t n_atoms, bool with_non_conservative,
               bool with_atomic_virials) const;

  const Evaluation &values() const { return values_; }

  /// To be added later, since few steps ask for them.
  std::vector<double> &centroid_virials() { return values_.centroid_virials; }

  double memory_usage() const
  {
    return static_cast<double>(positions_.capacity() * sizeof(double));
  }

 private:
  Evaluation values_;
  bool is_kept_ = false, has_non_conservative_ = false;
  std::vector<double> positions_;    // (n_owned + n_ghost, 3)
  std::vector<int> types_;           // (n_owned)
};

}    // namespace mlip

#endif
