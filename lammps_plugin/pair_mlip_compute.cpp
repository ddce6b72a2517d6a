/* ----------------------------------------------------------------------
   Pair style mlip: forces. A step is gather (LAMMPS -> local graph), evaluate (the
   model), scatter (forces, energy, virial -> LAMMPS).
------------------------------------------------------------------------- */

#include "pair_mlip_data.h"

#include "elements.h"

#include "comm.h"
#include "domain.h"
#include "error.h"
#include "neighbor.h"
#include "update.h"

#include <cmath>
#include <stdexcept>

using namespace LAMMPS_NS;

/* ----------------------------------------------------------------------
   LAMMPS -> local graph; false if there is no atom in it on any process. The heads may need
   less of the surroundings of a domain than the energy.
------------------------------------------------------------------------- */

bool PairMLIP::gather(bool for_non_conservative_only)
{
  const auto &info = data->model->info();
  const int n_layers = for_non_conservative_only ? info.non_conservative_layers : info.most_layers;
  together([&] { update_graph(n_layers); });
  if (!data->told_graph) tell_graph();
  return comm->nprocs > 1 || data->graph.n_atoms() > 0;
}

/* ---------------------------------------------------------------------- */

void PairMLIP::update_graph(int n_layers)
{
  double **x = atom->x;

  for (int i = 0; i < atom->nlocal; i++)
    if (data->number_of_type[atom->type[i]] && !std::isfinite(x[i][0] + x[i][1] + x[i][2]))
      throw std::runtime_error(
          fmt::format("the position of atom {} is not a number: ({}, {}, {}). The simulation is "
                      "unstable or the input is wrong",
                      atom->tag[i], x[i][0], x[i][1], x[i][2]));

  // setup() functions build the list without counting it
  auto &edges = *data->edges;
  if (data->edges_are_stale || update->setupflag || neighbor->ncalls != data->seen_ncalls ||
      neighbor->lastcall != data->seen_lastcall) {
    if (data->boundary) learn_homes();
    edges.rebuild(*list, *atom, *domain, data->number_of_type);
    data->seen_ncalls = neighbor->ncalls;
    data->seen_lastcall = neighbor->lastcall;
    data->edges_are_stale = false;
  }
  const double approach = edges.largest_approach(x);
  if (approach > neighbor->skin)
    throw std::runtime_error(
        fmt::format("two atoms may have come closer by {:.3g} Angstrom since the neighbor list was "
                    "built, more than the skin of {:.3g}: neighbors may be missing. Use a larger "
                    "skin (neighbor command), a shorter time step or, with r-RESPA, fewer inner "
                    "steps",
                    approach, neighbor->skin));

  auto &graph = data->graph;
  edges.update(x, n_layers, graph);
  auto &numbers = graph.atomic_numbers;
  numbers.clear();
  for (const int i : edges.owned()) numbers.push_back(data->number_of_type[atom->type[i]]);
  if (graph.n_counted > static_cast<int64_t>(numbers.size()))    // the probe, of any element
    numbers.push_back(mlip::atomic_number_of(data->elements[0]));
  for (const int i : edges.others()) numbers.push_back(data->number_of_type[atom->type[i]]);

  // a minimizer needs one and the same energy
  if (data->settings.rotate && update->whichflag != 2) {
    data->unturned.swap(graph.edge_vectors);
    mlip::Rotation(data->settings.seed, update->ntimestep).turn(data->unturned, graph.edge_vectors);
  } else {
    data->unturned.clear();
  }
}

/* ----------------------------------------------------------------------
   energy, conservative forces, virial; on request the non-conservative heads as well
------------------------------------------------------------------------- */

void PairMLIP::evaluate(bool with_non_conservative, bool with_atomic_virials)
{
  data->is_evaluated = false;
  auto &full = data->full;
  together([&] {
    data->model->evaluate(data->graph, with_non_conservative, with_atomic_virials,
                          data->exchange.get(), full);
  });
  if (!data->unturned.empty())
    mlip::Rotation(data->settings.seed, update->ntimestep).turn_back(full);
  show(N_FULL, ++data->n_full);
  collect(full);

  const int n_owned = static_cast<int>(data->edges->owned().size());
  together([&] {
    for (int k = 0; k < n_owned; k++)
      if (!std::isfinite(full.atomic_energies[k]))
        stop_at_atom(k, full.forces.data(), "the energy is not a number");
    check_forces(full.forces.data(), "conservative");
    if (with_non_conservative) check_forces(full.direct.forces.data(), "non-conservative");
  });
  if (with_non_conservative) {
    measure_disagreement();
    data->remember_positions(atom);
  }
}

/* ---------------------------------------------------------------------- */

void PairMLIP::evaluate_non_conservative()
{
  auto &direct = data->direct;
  together([&] { data->model->non_conservative(data->graph, data->exchange.get(), direct); });
  if (!data->unturned.empty()) {
    const mlip::Rotation rotation(data->settings.seed, update->ntimestep);
    rotation.turn_back(direct.forces);
    rotation.turn_back(direct.virial);
  }
  show(N_NON_CONSERVATIVE, ++data->n_non_conservative);
  if (comm->nprocs > 1) remove_net_force(direct.forces);
  together([&] { check_forces(direct.forces.data(), "non-conservative"); });
}

/* ----------------------------------------------------------------------
   add forces (n_atoms, 3) times sign to those of the owned atoms
------------------------------------------------------------------------- */

void PairMLIP::scatter(const double *forces, double sign)
{
  const double scale = sign * data->from_ev;
  double **f = atom->f;
  for (const int i : data->edges->owned())
    for (int k = 0; k < 3; k++) f[i][k] += scale * *forces++;
}

/* ----------------------------------------------------------------------
   energy and virial of the last full evaluation of a sub-style, as far as they are wanted
------------------------------------------------------------------------- */

void PairMLIP::tally(const Data &source)
{
  const double scale = data->from_ev;
  const auto &full = source.full;

  // LAMMPS order: xx, yy, zz, xy, xz, yz, and for centroids also yx, zx, zy
  static constexpr int ROW[9] = {0, 1, 2, 0, 0, 1, 1, 2, 2};
  static constexpr int COLUMN[9] = {0, 1, 2, 1, 2, 2, 0, 0, 1};

  if (eflag_global) eng_vdwl += scale * full.energy;
  if (vflag_global)
    for (int k = 0; k < 6; k++)
      virial[k] += 0.5 * scale * (full.virial[ROW[k]][COLUMN[k]] + full.virial[COLUMN[k]][ROW[k]]);

  const auto &atoms = source.edges->owned();
  if (cvflag_atom && data->processes.any(full.centroid_virials.size() != 9 * atoms.size()))
    error->all(FLERR,
               "Pair style mlip: the model file {} gives no centroid virials. Export the model "
               "again with mlip-export",
               source.file);
  for (size_t k = 0; k < atoms.size(); k++) {
    const int i = atoms[k];
    if (eflag_atom) eatom[i] += scale * full.atomic_energies[k];
    if (vflag_atom) {
      const double *w = &full.atomic_virials[9 * k];
      for (int c = 0; c < 6; c++)
        vatom[i][c] += 0.5 * scale * (w[3 * ROW[c] + COLUMN[c]] + w[3 * COLUMN[c] + ROW[c]]);
    }
    if (cvflag_atom) {
      const double *w = &full.centroid_virials[9 * k];
      for (int c = 0; c < 9; c++) cvatom[i][c] += scale * w[3 * ROW[c] + COLUMN[c]];
    }
  }
}

/* ----------------------------------------------------------------------
   all forces at once: run_style verlet, minimize, and respa without inner and outer.
   As a sub-style of a hybrid style, one of the two forces of r-RESPA.
------------------------------------------------------------------------- */

void PairMLIP::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  if (data->is_correction())
    apply_correction(*data->non_conservative);
  else if (data->correction)
    apply_non_conservative(vflag_atom || cvflag_atom);
  else if (data->is_non_conservative())
    compute_non_conservative();
  else if (gather()) {
    const bool watches = data->settings.on_disagreement != mlip::OnDisagreement::IGNORE;
    evaluate(watches && data->model->info().has_non_conservative_forces, vflag_atom || cvflag_atom);
    scatter(data->full.forces.data(), 1.0);
    tally(*data);
    plan_rebuild();
  }
}

/* ----------------------------------------------------------------------
   The energy and virial of a trajectory with non-conservative forces are those of the
   energy head; they cost a full evaluation in the steps that ask for them. The stress of
   the non-conservative head costs none.
------------------------------------------------------------------------- */

void PairMLIP::compute_non_conservative()
{
  const bool own_stress = data->settings.non_conservative_stress;
  if (own_stress && (vflag_atom || cvflag_atom))
    error->all(FLERR,
               "Pair style mlip stress non_conservative has no per-atom form: remove the computes "
               "of per-atom stress, or use stress conservative");

  const bool wants_virial = vflag_global && own_stress;
  if (wants_virial) vflag_global = 0;
  const double (*predicted)[3] = data->direct.virial;
  const bool needs_energy = eflag_either || vflag_global || vflag_atom || cvflag_atom;
  if (!gather(!needs_energy)) return;
  if (needs_energy) {
    evaluate(true, vflag_atom || cvflag_atom);
    scatter(data->full.direct.forces.data(), 1.0);
    tally(*data);
    predicted = data->full.direct.virial;
  } else {
    evaluate_non_conservative();
    scatter(data->direct.forces.data(), 1.0);
  }
  if (wants_virial) {
    vflag_global = 1;
    static constexpr int ROW[6] = {0, 1, 2, 0, 0, 1};
    static constexpr int COLUMN[6] = {0, 1, 2, 1, 2, 2};
    for (int k = 0; k < 6; k++)
      virial[k] +=
          0.5 * data->from_ev * (predicted[ROW[k]][COLUMN[k]] + predicted[COLUMN[k]][ROW[k]]);
  }
  plan_rebuild();
}
