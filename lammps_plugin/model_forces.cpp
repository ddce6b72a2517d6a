#include "model_forces.h"

#include "model_file.h"

#include "atom.h"
#include "error.h"
#include "library.h"
#include "pair.h"
#include "update.h"

#include <algorithm>
#include <cmath>

using namespace LAMMPS_NS;

namespace mlip {

/* ---------------------------------------------------------------------- */

ModelForces::ModelForces(LAMMPS *lmp, Pair &pair, Agreement &processes, const Settings &settings,
                         const ModelFile &file, const ElementMap &elements, OutputVector &output,
                         const std::string &fix_id) :
    Pointers(lmp), pair_(pair), processes_(processes), settings_(settings), file_(file),
    evaluator_(lmp, pair, processes, settings, file, elements, output), tally_(lmp),
    skin_guard_(lmp, fix_id)
{
}

/* ---------------------------------------------------------------------- */

int ModelForces::begin_run(PairMLIP &pair)
{
  const int request = evaluator_.begin_run();
  skin_guard_.begin_run(pair);
  return request;
}

/* ---------------------------------------------------------------------- */

void ModelForces::tally_energy_and_virial(Pair &to, const Evaluation &full, double scale)
{
  if (to.cvflag_atom) evaluator_.complete_centroid_virials(*pair_.list);
  tally_.add_energy_and_virial(to, evaluator_.owned(), full, scale, processes_, file_.path());
}

/* ---------------------------------------------------------------------- */

void ModelForces::add_conservative(Pair &to, double scale)
{
  if (!evaluator_.gather(*pair_.list)) return;
  const bool with_heads =
      evaluator_.disagreement().is_watched() && file_.info().has_non_conservative_forces;
  const auto &full = evaluator_.evaluate(with_heads, to.vflag_atom || to.cvflag_atom);
  tally_.add_forces(evaluator_.owned(), full.forces, scale);
  tally_energy_and_virial(to, full, scale);
  skin_guard_.plan_rebuild(evaluator_.edges());
}

/* ----------------------------------------------------------------------
   The energy and virial of a trajectory with non-conservative forces are those of the
   energy head; they cost a full evaluation in the steps that ask for them. The stress of
   the non-conservative head costs none.
------------------------------------------------------------------------- */

void ModelForces::add_non_conservative(Pair &to, double scale)
{
  const bool own_stress = settings_.non_conservative_stress;
  const bool with_atomic_virials = to.vflag_atom || to.cvflag_atom;
  if (own_stress && with_atomic_virials)
    error->all(FLERR,
               "Pair style mlip stress non_conservative has no per-atom form: remove the computes "
               "of per-atom stress, or use stress conservative");

  const bool wants_virial = to.vflag_global && own_stress;
  const bool needs_energy = to.eflag_either || (to.vflag_global && !own_stress) ||
                            with_atomic_virials;
  if (!evaluator_.gather(*pair_.list, !needs_energy)) return;
  const NonConservative *direct;
  if (needs_energy) {
    const auto &full = evaluator_.evaluate(true, with_atomic_virials);
    direct = &full.direct;
    const int vflag_global = to.vflag_global;
    if (wants_virial) to.vflag_global = 0;    // not that of the energy
    tally_energy_and_virial(to, full, scale);
    to.vflag_global = vflag_global;
  } else {
    direct = &evaluator_.evaluate_non_conservative();
  }
  tally_.add_forces(evaluator_.owned(), direct->forces, scale);
  if (wants_virial) tally_.add_virial(to, direct->virial, scale);
  skin_guard_.plan_rebuild(evaluator_.edges());
}

/* ----------------------------------------------------------------------
   during set-up LAMMPS calls each level once, at the same positions
------------------------------------------------------------------------- */

void ModelForces::add_inner(bool with_atomic_virials, double scale)
{
  if (update->setupflag) cycle_.begin(inner_steps_of_integrator());
  const bool outer_follows = cycle_.count_inner() || update->setupflag;
  if (!evaluator_.gather(*pair_.list, !outer_follows)) return;
  const NonConservative &direct = outer_follows ? evaluator_.both(with_atomic_virials).direct
                                                : evaluator_.evaluate_non_conservative();
  tally_.add_forces(evaluator_.owned(), direct.forces, scale);
}

/* ---------------------------------------------------------------------- */

void ModelForces::add_correction(Pair &to, double scale)
{
  cycle_.count_outer(update->setupflag);
  const auto *full = evaluator_.both_here(*pair_.list, to.vflag_atom || to.cvflag_atom);
  if (!full) return;
  tally_.add_forces(evaluator_.owned(), full->forces, scale);
  tally_.add_forces(evaluator_.owned(), full->direct.forces, -scale);
  tally_energy_and_virial(to, *full, scale);
  skin_guard_.plan_rebuild(evaluator_.edges());
}

/* ----------------------------------------------------------------------
   M of `run_style respa 2 M`, from the time steps of its outermost and innermost levels
------------------------------------------------------------------------- */

int ModelForces::inner_steps_of_integrator() const
{
  if (update->whichflag == 2) return 1;    // run_style does not matter to a minimizer
  const auto *n_levels = static_cast<int *>(lammps_extract_global(lmp, "respa_levels"));
  const auto *dt = static_cast<double *>(lammps_extract_global(lmp, "respa_dt"));
  if (!n_levels || !dt || *n_levels < 1) return 1;
  return std::max(1, static_cast<int>(std::lround(dt[*n_levels - 1] / dt[0])));
}

/* ---------------------------------------------------------------------- */

void ModelForces::disagreement_of_atoms(double *values)
{
  std::fill(values, values + atom->nlocal, 0.0);
  const auto *full = evaluator_.both_here(*pair_.list, false);
  if (!full) return;
  const auto &owned = evaluator_.owned();
  for (size_t k = 0; k < owned.size(); k++) values[owned[k]] = std::sqrt(disagreement_sq(*full, k));
}

}    // namespace mlip
