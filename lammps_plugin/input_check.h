// What the input of a simulation must be like for this style: errors for what it cannot run with.

#ifndef MLIP_INPUT_CHECK_H
#define MLIP_INPUT_CHECK_H

#include "pointers.h"

namespace mlip {

class ModelFile;
struct Settings;

class InputCheck : protected LAMMPS_NS::Pointers {
 public:
  InputCheck(LAMMPS_NS::LAMMPS *lmp, const Settings &settings, const ModelFile &file) :
      Pointers(lmp), settings_(settings), file_(file)
  {
  }

  void require_three_dimensions() const;

  /// The model needs IDs of atoms, and all neighbors of each.
  void require_all_neighbors() const;

  /// The model has the heads that `forces non_conservative` and `stress non_conservative` need.
  void require_heads() const;

  /// run_style respa ... inner ... outer: the model has both forces, and the keyword `forces` chooses none of them.
  void require_both_levels() const;

  /// A minimizer needs an energy that belongs to the forces. `beside_correction`: those of this style and of a sub-style
  /// with `forces correction` together have one.
  void refuse_minimization(bool beside_correction) const;

 private:
  const Settings &settings_;
  const ModelFile &file_;
};

}    // namespace mlip

#endif
