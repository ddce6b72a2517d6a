#include "input_check.h"

#include "model_file.h"
#include "settings.h"

#include "atom.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

using namespace LAMMPS_NS;

namespace mlip {

/* ---------------------------------------------------------------------- */

void InputCheck::require_three_dimensions() const
{
  if (domain->dimension != 3)
    error->all(FLERR, "Pair style mlip needs a 3d system, got dimension {}", domain->dimension);
}

/* ---------------------------------------------------------------------- */

void InputCheck::require_all_neighbors() const
{
  if (!atom->tag_enable)
    error->all(FLERR, "Pair style mlip needs atom IDs: remove 'atom_modify id no'");
  if (atom->molecular != Atom::ATOMIC && atom->maxspecial > 0)
    for (int k = 1; k < 4; k++)
      if (force->special_lj[k] == 0.0 && force->special_coul[k] == 0.0)
        error->all(FLERR,
                   "Pair style mlip needs all neighbors of an atom, but special_bonds leaves out "
                   "1-{} neighbors. Use: special_bonds lj/coul 1.0 1.0 1.0",
                   k + 1);
}

/* ---------------------------------------------------------------------- */

void InputCheck::require_heads() const
{
  if (!file_.info().has_non_conservative_forces)
    error->all(FLERR,
               "Pair style mlip forces non_conservative needs a model with non-conservative "
               "forces, {} has none. Use forces conservative",
               file_.path());
  if (settings_.non_conservative_stress && !file_.info().has_non_conservative_stress)
    error->all(FLERR,
               "Pair style mlip stress non_conservative needs a model with a head for the stress, "
               "{} has none. Use stress conservative",
               file_.path());
}

/* ---------------------------------------------------------------------- */

void InputCheck::require_both_levels() const
{
  if (!file_.info().has_non_conservative_forces)
    error->all(
        FLERR,
        "run_style respa with inner and outer needs a model with non-conservative forces, {} "
        "has none. Use run_style verlet, or a model that has them",
        file_.path());
  if (settings_.forces != Forces::CONSERVATIVE)
    error->all(FLERR,
               "run_style respa with inner and outer integrates the conservative forces of pair "
               "style mlip: remove 'forces' from the pair_style command (it is for run_style "
               "respa ... hybrid)");
}

/* ----------------------------------------------------------------------
   after run_style respa ... hybrid, LAMMPS computes the sub-styles of one level only in a
   minimization: energy and forces would be those of one of the two
------------------------------------------------------------------------- */

void InputCheck::refuse_minimization(bool beside_correction) const
{
  if (update->whichflag != 2) return;
  if (!beside_correction)
    error->all(FLERR,
               "Cannot minimize with pair style mlip forces non_conservative: these forces have "
               "no energy. Use forces conservative");
  if (utils::strmatch(update->integrate_style, "^respa"))
    error->all(FLERR,
               "Cannot minimize after run_style respa with the sub-styles forces non_conservative "
               "and forces correction of pair style mlip: LAMMPS would leave one of them out. Say "
               "'run_style verlet' before, and run_style respa again after the minimization");
}

}    // namespace mlip
