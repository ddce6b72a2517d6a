#include "input_check.h"

#include "model_file.h"
#include "settings.h"

#include "atom.h"
#include "comm.h"
#include "compute.h"
#include "domain.h"
#include "error.h"
#include "fix.h"
#include "force.h"
#include "modify.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

#include <string>

using namespace LAMMPS_NS;

namespace mlip {

/* ---------------------------------------------------------------------- */

void InputCheck::require_three_dimensions() const
{
  if (domain->dimension != 3)
    error->all(FLERR, "Pair style mlip needs a 3d system, got dimension {}", domain->dimension);
}

/* ---------------------------------------------------------------------- */

void InputCheck::require_atom_ids() const
{
  if (!atom->tag_enable)
    error->all(FLERR, "Pair style mlip needs atom IDs: remove 'atom_modify id no'");
}

/* ----------------------------------------------------------------------
   LAMMPS leaves a pair with two factors of zero out of the list, unless a style for long-range
   Coulomb forces needs it. Factors of one would change what other styles compute.
------------------------------------------------------------------------- */

void InputCheck::require_bonded_neighbors() const
{
  if (atom->molecular == Atom::ATOMIC || atom->maxspecial == 0) return;
  for (int k = 1; k < 4; k++)
    if (neighbor->special_flag[k] == 0)
      error->all(FLERR,
                 "Pair style mlip needs all neighbors of an atom, but special_bonds leaves 1-{} "
                 "neighbors out of the list. Use 'special_bonds lj/coul 1.0e-50 1.0e-50 1.0e-50', "
                 "which keeps them and lets other pair styles go on to ignore them. Pair style "
                 "mlip itself takes no notice of these factors",
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
  if (utils::strmatch(force->pair_style, "^hybrid/scaled"))
    error->all(FLERR,
               "Pair style hybrid/scaled does not scale the inner level of run_style respa with "
               "inner and outer. For a factor of 0.5, use: pair_style hybrid/scaled 0.5 mlip "
               "forces non_conservative 0.5 mlip forces correction, a pair_coeff command for each "
               "of the two (mlip 1 and mlip 2), and run_style respa 2 M hybrid 1 2");
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

/* ---------------------------------------------------------------------- */

void InputCheck::check_fixes_of_respa() const
{
  if (update->whichflag != 1 || !utils::strmatch(update->integrate_style, "^respa")) return;
  static constexpr int PAIRS[][2] = {
      {FixConst::INITIAL_INTEGRATE, FixConst::INITIAL_INTEGRATE_RESPA},
      {FixConst::POST_INTEGRATE, FixConst::POST_INTEGRATE_RESPA},
      {FixConst::PRE_FORCE, FixConst::PRE_FORCE_RESPA},
      {FixConst::POST_FORCE, FixConst::POST_FORCE_RESPA},
      {FixConst::FINAL_INTEGRATE, FixConst::FINAL_INTEGRATE_RESPA},
  };
  for (int n = 0; n < modify->nfix; n++) {
    const Fix &fix = *modify->fix[n];
    const int mask = modify->fmask[n];
    bool loses = false;
    for (const auto &pair : PAIRS) loses = loses || (mask & pair[0] && !(mask & pair[1]));
    if (!loses) continue;
    // fix pimd/nvt does not say that it integrates
    const int integrates = FixConst::INITIAL_INTEGRATE | FixConst::FINAL_INTEGRATE;
    if ((fix.time_integrate || (mask & integrates) == integrates) &&
        !(mask & FixConst::INITIAL_INTEGRATE_RESPA))
      error->all(FLERR,
                 "Fix {} does not move atoms under run_style respa: they would stand still. Use "
                 "another fix, such as nve, nvt, npt or gle, or run_style verlet (fix ID {})",
                 fix.style, fix.id);
    if (comm->me == 0)
      error->warning(FLERR,
                     "Fix {} does not support run_style respa: LAMMPS leaves out some or all "
                     "of what it does. Use another fix, or run_style verlet (fix ID {})",
                     fix.style, fix.id);
  }
}

/* ---------------------------------------------------------------------- */

void InputCheck::check_distance_of_forces() const
{
  // as mlip_engines/properties/errors.py has it, in eV/A
  static constexpr double LARGEST = 0.1;
  if (update->whichflag != 1 || !utils::strmatch(update->integrate_style, "^respa")) return;
  const double distance = file_.info().rms_c_minus_nc;
  if (comm->me != 0 || distance <= LARGEST) return;
  error->warning(FLERR,
                 "Pair style mlip: the conservative and non-conservative forces of the model {} "
                 "differ by {:.0f} meV/Angstrom (RMS per component), expected 25 or less and at "
                 "most {:.0f} for r-RESPA: the simulation may heat up. Use run_style verlet, or a "
                 "model whose head was trained longer with the term match",
                 file_.info().name, 1000.0 * distance, 1000.0 * LARGEST);
}

/* ----------------------------------------------------------------------
   LAMMPS does not say which compute of stresses heat/flux uses
------------------------------------------------------------------------- */

void InputCheck::check_heat_flux() const
{
  bool has_heat_flux = false, has_centroid = false;
  for (int n = 0; n < modify->ncompute; n++) {
    const std::string style = modify->compute[n]->style;
    if (style == "heat/flux") has_heat_flux = true;
    if (style == "centroid/stress/atom") has_centroid = true;
  }
  if (comm->me != 0 || !(has_heat_flux || has_centroid)) return;
  if (!file_.info().has_centroid_virials)
    error->warning(FLERR,
                   "Pair style mlip: the model file {} is too old to give the virials of compute "
                   "centroid/stress/atom, which the heat flux needs. Write it anew: mlip-export "
                   "OLD.pt -o NEW.pt",
                   file_.path());
  else if (!has_centroid)
    error->warning(FLERR,
                   "Pair style mlip: compute heat/flux with compute stress/atom is wrong for "
                   "energies of many atoms. Give it compute centroid/stress/atom instead");
}

}    // namespace mlip
