/* ----------------------------------------------------------------------
   Pair style mlip: forces. A step is gather (LAMMPS -> local graph), evaluate (the
   model), scatter (forces, energy, virial -> LAMMPS).

   r-RESPA: the inner level applies the non-conservative forces NC, the outer level the
   correction C - NC to the conservative forces C. The last inner call of an outer step
   and the outer call that follows it see the same positions, so that inner call already
   makes the full evaluation (C and NC together) that the outer call then takes over.
------------------------------------------------------------------------- */

#include "pair_mlip_data.h"

#include "comm.h"
#include "domain.h"
#include "error.h"
#include "library.h"
#include "neighbor.h"
#include "update.h"

#include <cmath>
#include <exception>

using namespace LAMMPS_NS;

/* ----------------------------------------------------------------------
   LAMMPS -> local graph
------------------------------------------------------------------------- */

void PairMLIP::gather()
{
  double **x = atom->x;
  const int nlocal = atom->nlocal;

  for (int i = 0; i < nlocal; i++)
    if (!std::isfinite(x[i][0] + x[i][1] + x[i][2]))
      error->one(FLERR,
                 "Pair style mlip: the position of atom {} is not a number: ({}, {}, {}). The "
                 "simulation is unstable or the input is wrong",
                 atom->tag[i], x[i][0], x[i][1], x[i][2]);

  // setup() functions build the list without counting it
  if (data->edges_are_stale || update->setupflag || neighbor->ncalls != data->seen_ncalls ||
      neighbor->lastcall != data->seen_lastcall) {
    try {
      data->edges->rebuild(*list, *atom, *domain);
    } catch (const std::exception &e) {
      error->one(FLERR, "Pair style mlip: {}", e.what());
    }
    data->seen_ncalls = neighbor->ncalls;
    data->seen_lastcall = neighbor->lastcall;
    data->edges_are_stale = false;
  } else if (!data->warned_skin) {
    const double approach = data->edges->largest_approach(x);
    if (approach > neighbor->skin) {
      data->warned_skin = true;
      error->warning(FLERR,
                     "Pair style mlip: two atoms moved {:.3g} Angstrom since the neighbor list was "
                     "built, more than the skin of {:.3g}. Neighbors may be missed: increase it "
                     "with the neighbor command (r-RESPA rebuilds between outer steps only)",
                     approach, neighbor->skin);
    }
  }

  data->edges->update(x, data->graph);
  auto &numbers = data->graph.atomic_numbers;
  numbers.resize(nlocal);
  for (int i = 0; i < nlocal; i++) numbers[i] = data->number_of_type[atom->type[i]];
}

/* ----------------------------------------------------------------------
   energy, conservative forces, virial; on request the non-conservative forces as well
------------------------------------------------------------------------- */

void PairMLIP::evaluate(bool with_non_conservative, bool with_atomic_virials)
{
  data->evaluated_x.clear();
  try {
    data->model->evaluate(data->graph, with_non_conservative, with_atomic_virials, data->full);
  } catch (const std::exception &e) {
    error->one(FLERR, "Pair style mlip, model {}: {}", data->file, e.what());
  }
  pvector[N_FULL] += 1.0;

  if (!std::isfinite(data->full.energy))
    for (int i = 0; i < atom->nlocal; i++)
      if (!std::isfinite(data->full.atomic_energies[i]))
        error->one(FLERR, "Pair style mlip: the energy of atom {} is not a number", atom->tag[i]);
  require_finite(data->full.forces.data(), "conservative");
  if (with_non_conservative) {
    require_finite(data->full.non_conservative_forces.data(), "non-conservative");
    measure_disagreement();
    data->remember_positions(atom);
  }
}

/* ---------------------------------------------------------------------- */

void PairMLIP::evaluate_non_conservative()
{
  try {
    data->model->non_conservative(data->graph, data->non_conservative_forces);
  } catch (const std::exception &e) {
    error->one(FLERR, "Pair style mlip, model {}: {}", data->file, e.what());
  }
  pvector[N_NON_CONSERVATIVE] += 1.0;
  require_finite(data->non_conservative_forces.data(), "non-conservative");
}

/* ---------------------------------------------------------------------- */

void PairMLIP::require_finite(const double *forces, const char *which) const
{
  for (int i = 0; i < atom->nlocal; i++)
    if (!std::isfinite(forces[3 * i] + forces[3 * i + 1] + forces[3 * i + 2]))
      error->one(FLERR,
                 "Pair style mlip: the {} force on atom {} is not a number. Are two atoms at the "
                 "same place?",
                 which, atom->tag[i]);
}

/* ----------------------------------------------------------------------
   |C - NC| of the atoms, in eV/A whatever the units of the simulation
------------------------------------------------------------------------- */

void PairMLIP::measure_disagreement()
{
  double sum = 0.0, largest = 0.0;
  for (int i = 0; i < atom->nlocal; i++) {
    double square = 0.0;
    for (int k = 0; k < 3; k++) {
      const double d = data->full.forces[3 * i + k] - data->full.non_conservative_forces[3 * i + k];
      square += d * d;
    }
    sum += square;
    largest = std::max(largest, square);
  }
  pvector[RMS_DISAGREEMENT] = atom->nlocal ? std::sqrt(sum / atom->nlocal) : 0.0;
  pvector[MAX_DISAGREEMENT] = std::sqrt(largest);
}

/* ----------------------------------------------------------------------
   add forces times sign to those of the owned atoms
------------------------------------------------------------------------- */

void PairMLIP::scatter(const double *forces, double sign)
{
  const double scale = sign * data->from_ev;
  double **f = atom->f;
  for (int i = 0; i < atom->nlocal; i++)
    for (int k = 0; k < 3; k++) f[i][k] += scale * forces[3 * i + k];
}

/* ----------------------------------------------------------------------
   energy and virial of the last full evaluation, as far as they are wanted this step
------------------------------------------------------------------------- */

void PairMLIP::tally()
{
  const double scale = data->from_ev;
  const auto &full = data->full;

  // LAMMPS order: xx, yy, zz, xy, xz, yz
  static constexpr int ROW[6] = {0, 1, 2, 0, 0, 1};
  static constexpr int COLUMN[6] = {0, 1, 2, 1, 2, 2};

  if (eflag_global) eng_vdwl += scale * full.energy;
  if (vflag_global)
    for (int k = 0; k < 6; k++)
      virial[k] += 0.5 * scale * (full.virial[ROW[k]][COLUMN[k]] + full.virial[COLUMN[k]][ROW[k]]);
  if (eflag_atom)
    for (int i = 0; i < atom->nlocal; i++) eatom[i] += scale * full.atomic_energies[i];
  if (vflag_atom)
    for (int i = 0; i < atom->nlocal; i++) {
      const double *w = &full.atomic_virials[9 * static_cast<size_t>(i)];
      for (int k = 0; k < 6; k++)
        vatom[i][k] += 0.5 * scale * (w[3 * ROW[k] + COLUMN[k]] + w[3 * COLUMN[k] + ROW[k]]);
    }
}

/* ----------------------------------------------------------------------
   all forces at once: run_style verlet, minimize, and respa without inner and outer.
   The energy and virial of a trajectory with non-conservative forces are still those of
   the energy head; they cost a full evaluation in the steps that ask for them.
------------------------------------------------------------------------- */

void PairMLIP::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  if (atom->nlocal == 0) return;
  gather();

  if (!data->non_conservative) {
    evaluate(false, vflag_atom != 0);
    scatter(data->full.forces.data(), 1.0);
    tally();
  } else if (eflag_either || vflag_either) {
    evaluate(true, vflag_atom != 0);
    scatter(data->full.non_conservative_forces.data(), 1.0);
    tally();
  } else {
    evaluate_non_conservative();
    scatter(data->non_conservative_forces.data(), 1.0);
  }
}

/* ----------------------------------------------------------------------
   r-RESPA, fast level: the non-conservative forces
------------------------------------------------------------------------- */

void PairMLIP::compute_inner()
{
  // during setup each level is called once, at the same positions
  if (update->setupflag) {
    require_respa_support();
    data->inner_steps = inner_steps_of_integrator();
    data->calls_since_outer = 0;
  }
  data->calls_since_outer++;
  if (atom->nlocal == 0) return;

  gather();
  if (update->setupflag || data->calls_since_outer >= data->inner_steps) {
    evaluate(true, update->vflag_atom == update->ntimestep);
    scatter(data->full.non_conservative_forces.data(), 1.0);
  } else {
    evaluate_non_conservative();
    scatter(data->non_conservative_forces.data(), 1.0);
  }
}

/* ---------------------------------------------------------------------- */

void PairMLIP::compute_middle()
{
  error->all(FLERR,
             "Pair style mlip has two r-RESPA levels, inner and outer: remove 'middle' from the "
             "run_style respa command");
}

/* ----------------------------------------------------------------------
   r-RESPA, slow level: the correction to the conservative forces. Energy and virial are
   the conservative ones.
------------------------------------------------------------------------- */

void PairMLIP::compute_outer(int eflag, int vflag)
{
  ev_init(eflag, vflag);

  // the number of inner calls seen in a cycle is right even where the integrator has more levels
  if (!update->setupflag) data->inner_steps = std::max(1, data->calls_since_outer);
  data->calls_since_outer = 0;
  if (atom->nlocal == 0) return;

  if (!data->has_full(atom, vflag_atom != 0)) {
    gather();
    evaluate(true, vflag_atom != 0);
  }
  scatter(data->full.forces.data(), 1.0);
  scatter(data->full.non_conservative_forces.data(), -1.0);
  tally();
}

/* ----------------------------------------------------------------------
   M of `run_style respa 2 M`, from the time steps of its outermost and innermost levels
------------------------------------------------------------------------- */

int PairMLIP::inner_steps_of_integrator() const
{
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
  if (data->non_conservative)
    error->all(FLERR,
               "run_style respa with inner and outer integrates the conservative forces of pair "
               "style mlip: remove 'forces non_conservative' from the pair_style command");
}
