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

  void require_atom_ids() const;

  /// The neighbor lists are set up: special_bonds may not take bonded neighbors out of them.
  void require_bonded_neighbors() const;

  /// The model has the heads that `forces non_conservative` and `stress non_conservative` need.
  void require_heads() const;

  /// run_style respa ... inner ... outer: the model has both forces, the keyword `forces` chooses none of them, and no
  /// hybrid style scales one of the two levels only.
  void require_both_levels() const;

  /// A minimizer needs an energy that belongs to the forces. `beside_correction`: those of this style and of a sub-style
  /// with `forces correction` together have one.
  void refuse_minimization(bool beside_correction) const;

  /// LAMMPS calls a fix under run_style respa only where the fix asks for it: an error if atoms would stand still, a
  /// warning if a fix would lose a part of what it does.
  void check_fixes_of_respa() const;

  /// A warning if r-RESPA is to join two kinds of forces that are too far apart for it.
  void check_distance_of_forces() const;

  /// A warning if compute heat/flux is given per-atom stresses that are wrong for many-body energies, or if the model
  /// file is too old for the right ones.
  void check_heat_flux() const;

 private:
  const Settings &settings_;
  const ModelFile &file_;
};

}    // namespace mlip

#endif
