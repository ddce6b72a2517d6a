/* ----------------------------------------------------------------------
   Pair style mlip: r-RESPA. The inner level applies the non-conservative forces NC, the
   outer level the correction C - NC to the conservative forces C. The last inner call of
   an outer step and the outer call that follows it see the same positions, so that inner
   call already makes the full evaluation (C and NC together) that the outer call then
   takes over. In a hybrid style the two calls come to two sub-styles.
------------------------------------------------------------------------- */

#include "pair_mlip_data.h"

#include "fix_mlip.h"

#include "comm.h"
#include "error.h"
#include "force.h"
#include "library.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

#include <cmath>

using namespace LAMMPS_NS;

// atoms may become this much faster within an outer step without outrunning the skin
static constexpr double SPEED_MARGIN = 1.5;

/* ----------------------------------------------------------------------
   fast level
------------------------------------------------------------------------- */

void PairMLIP::compute_inner()
{
  if (update->setupflag) require_respa_support();
  apply_non_conservative(update->vflag_atom == update->ntimestep);
}

/* ---------------------------------------------------------------------- */

void PairMLIP::compute_middle()
{
  error->all(FLERR,
             "Pair style mlip has two r-RESPA levels, inner and outer: remove 'middle' from the "
             "run_style respa command");
}

/* ----------------------------------------------------------------------
   slow level. Energy and virial are the conservative ones.
------------------------------------------------------------------------- */

void PairMLIP::compute_outer(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  apply_correction(*this);
}

/* ---------------------------------------------------------------------- */

void PairMLIP::apply_non_conservative(bool with_atomic_virials)
{
  // during setup each level is called once, at the same positions
  if (update->setupflag) {
    data->inner_steps = inner_steps_of_integrator();
    data->calls_since_outer = 0;
  }
  data->calls_since_outer++;
  data->corrections_since_inner = 0;
  const bool is_full = update->setupflag || data->calls_since_outer >= data->inner_steps;
  if (!gather(!is_full)) return;

  if (is_full) {
    if (!has_full(*data, with_atomic_virials)) evaluate(true, with_atomic_virials);
    scatter(data->full.direct.forces.data(), 1.0);
  } else {
    evaluate_non_conservative();
    scatter(data->direct.forces.data(), 1.0);
  }
}

/* ----------------------------------------------------------------------
   from the evaluation of `source`, which is this style or the sub-style beside it
------------------------------------------------------------------------- */

void PairMLIP::apply_correction(PairMLIP &source)
{
  Data &shared = *source.data;
  if (&source != this && !update->setupflag && update->whichflag == 1 &&
      shared.corrections_since_inner > 0)
    error->all(FLERR,
               "Pair style mlip: forces correction is computed more often than forces "
               "non_conservative, which is the fast force. In run_style respa ... hybrid, give "
               "forces non_conservative the inner level and forces correction the outer one");
  shared.corrections_since_inner++;

  // the number of inner calls seen in a cycle is right even where the integrator has more levels
  if (!update->setupflag) shared.inner_steps = std::max(1, shared.calls_since_outer);
  shared.calls_since_outer = 0;

  const bool with_atomic_virials = vflag_atom || cvflag_atom;
  if (!has_full(shared, with_atomic_virials)) {
    if (!source.gather()) return;
    source.evaluate(true, with_atomic_virials);
  }
  source.scatter(shared.full.forces.data(), 1.0);
  source.scatter(shared.full.direct.forces.data(), -1.0);
  tally(shared);
  source.plan_rebuild();
}

/* ----------------------------------------------------------------------
   after run_style respa ... hybrid, LAMMPS computes the sub-styles of one level only in a
   minimization: energy and forces would be those of one of the two
------------------------------------------------------------------------- */

void PairMLIP::require_all_levels() const
{
  if (update->whichflag == 2 && utils::strmatch(update->integrate_style, "^respa"))
    error->all(FLERR,
               "Cannot minimize after run_style respa with the sub-styles forces non_conservative "
               "and forces correction of pair style mlip: LAMMPS would leave one of them out. Say "
               "'run_style verlet' before, and run_style respa again after the minimization");
}

/* ---------------------------------------------------------------------- */

void PairMLIP::init_correction()
{
  PairMLIP *previous = nullptr;
  for (int k = 1;; k++) {
    auto *other = dynamic_cast<PairMLIP *>(force->pair_match("mlip", 1, k));
    if (!other || other == previous) break;
    previous = other;
    const auto &theirs = other->data->settings;
    if (!other->data->is_non_conservative() || other->data->model != data->model ||
        other->data->number_of_type != data->number_of_type)
      continue;
    if (theirs.rotate != data->settings.rotate || theirs.seed != data->settings.seed)
      error->all(FLERR,
                 "Pair style mlip forces correction and forces non_conservative of the same model "
                 "need the same settings of rotate and seed");
    data->non_conservative = other;
    return;
  }
  error->all(
      FLERR,
      "Pair style mlip forces correction needs a sub-style mlip forces non_conservative with "
      "the same file, elements and device beside it, found none. Use: pair_style "
      "hybrid/overlay mlip forces non_conservative mlip forces correction ...");
}

/* ----------------------------------------------------------------------
   M of `run_style respa 2 M`, from the time steps of its outermost and innermost levels
------------------------------------------------------------------------- */

int PairMLIP::inner_steps_of_integrator() const
{
  if (update->whichflag == 2) return 1;    // run_style does not matter to a minimizer
  const auto *n_levels = static_cast<int *>(lammps_extract_global(lmp, "respa_levels"));
  const auto *dt = static_cast<double *>(lammps_extract_global(lmp, "respa_dt"));
  if (!n_levels || !dt || *n_levels < 1) return 1;
  return std::max(1, static_cast<int>(std::lround(dt[*n_levels - 1] / dt[0])));
}

/* ---------------------------------------------------------------------- */

void PairMLIP::require_respa_support()
{
  if (!data->model->info().has_non_conservative_forces)
    error->all(
        FLERR,
        "run_style respa with inner and outer needs a model with non-conservative forces, {} "
        "has none. Use run_style verlet, or a model that has them",
        data->file);
  if (data->settings.forces != mlip::Forces::CONSERVATIVE)
    error->all(FLERR,
               "run_style respa with inner and outer integrates the conservative forces of pair "
               "style mlip: remove 'forces' from the pair_style command (it is for run_style "
               "respa ... hybrid)");
}

/* ----------------------------------------------------------------------
   LAMMPS decides about a new neighbor list before an outer step and does not know how far
   atoms move in it: ask for one while the skin still covers two atoms that fly towards
   each other.
------------------------------------------------------------------------- */

void PairMLIP::plan_rebuild()
{
  if (update->whichflag != 1 || !data->guard) return;
  double speed_sq = 0.0;
  for (const int i : data->edges->owned()) {
    const double *v = atom->v[i];
    speed_sq = std::max(speed_sq, v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
  }
  const double mine[2] = {data->edges->largest_approach(atom->x), std::sqrt(speed_sq)};
  double largest[2];
  MPI_Allreduce(mine, largest, 2, MPI_DOUBLE, MPI_MAX, world);
  const double travel = SPEED_MARGIN * 2.0 * largest[1] * update->dt;
  if (largest[0] + travel > neighbor->skin) data->guard->next_reneighbor = update->ntimestep + 1;
  if (travel > neighbor->skin && !data->warned_skin && comm->me == 0) {
    data->warned_skin = true;
    error->warning(
        FLERR,
        "Pair style mlip: the fastest two atoms can come closer by {:.3g} Angstrom in "
        "one (outer) time step of {:.3g}, more than the skin of {:.3g}, and the run "
        "will stop if they do. Use a larger skin (neighbor command) or fewer inner steps",
        travel, update->dt, neighbor->skin);
  }
}
