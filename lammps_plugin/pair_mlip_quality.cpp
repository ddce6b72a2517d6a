/* ----------------------------------------------------------------------
   Pair style mlip: what watches over a run. Forces that are no numbers or explode stop it
   and leave the surroundings of the atom in a file; the disagreement of the two heads is
   measured, and on request a run stops before it goes where the model knows nothing.
------------------------------------------------------------------------- */

#include "pair_mlip_data.h"

#include "elements.h"

#include "comm.h"
#include "error.h"
#include "library.h"
#include "update.h"

#include <cmath>
#include <cstdio>

using namespace LAMMPS_NS;

/* ----------------------------------------------------------------------
   forces (n_atoms, 3) in eV/A. A minimizer limits its steps and may start anywhere.
------------------------------------------------------------------------- */

void PairMLIP::check_forces(const double *forces, const char *which)
{
  const double limit = data->settings.max_force;
  const int n_atoms = static_cast<int>(data->edges->atoms().size());
  for (int k = 0; k < n_atoms; k++) {
    const double *f = forces + 3 * k;
    const double norm_sq = f[0] * f[0] + f[1] * f[1] + f[2] * f[2];
    if (!std::isfinite(norm_sq))
      stop_at_atom(
          k, forces,
          fmt::format("the {} force is not a number. Are two atoms at the same place?", which));
    if (norm_sq > limit * limit && update->whichflag == 1)
      stop_at_atom(k, forces,
                   fmt::format("the {} force is {:.4g} eV/Angstrom, more than max_force {:.4g}. "
                               "The simulation explodes: try a shorter time step, fewer inner "
                               "steps or a minimization first",
                               which, std::sqrt(norm_sq), limit));
  }
}

/* ----------------------------------------------------------------------
   error->all and not error->one: the latter aborts, and what LAMMPS has not written yet of
   log and dump files would be lost
------------------------------------------------------------------------- */

void PairMLIP::stop_at_atom(int k, const double *forces, const std::string &reason)
{
  const int i = data->edges->atoms()[k];
  const std::string file = write_neighborhood(k, forces);
  error->all(FLERR, "Pair style mlip: atom {} (type {}) in step {}: {}\n{}", atom->tag[i],
             atom->type[i], update->ntimestep, reason,
             file.empty() ? "Its neighborhood could not be written to a file"
                          : "Its neighborhood is in " + file);
}

/* ----------------------------------------------------------------------
   the atom and all within the cutoff as extended XYZ; returns the name of the file
------------------------------------------------------------------------- */

std::string PairMLIP::write_neighborhood(int k, const double *forces) const
{
  const auto &graph = data->graph;
  const auto &atoms = data->edges->atoms();
  const auto &vectors = data->unturned.empty() ? graph.edge_vectors : data->unturned;
  const int64_t n_edges = graph.n_edges();
  const int64_t n_neighbors =
      std::count(graph.edge_index.begin(), graph.edge_index.begin() + n_edges, k);

  const auto name = fmt::format("mlip_atom_{}_step_{}.xyz", atom->tag[atoms[k]], update->ntimestep);
  FILE *file = fopen(name.c_str(), "w");
  if (!file) return "";
  fmt::print(file,
             "{}\nProperties=species:S:1:pos:R:3:id:I:1:forces:R:3 step={} model=\"{}\" "
             "pbc=\"F F F\"\n",
             n_neighbors + 1, update->ntimestep, data->model->info().name);
  const double *center = atom->x[atoms[k]];
  const auto print = [&](int64_t atom_of_graph, const double *offset) {
    const double *f = forces + 3 * atom_of_graph;
    fmt::print(file, "{} {:.10g} {:.10g} {:.10g} {} {:.10g} {:.10g} {:.10g}\n",
               mlip::ELEMENT_SYMBOLS[graph.atomic_numbers[atom_of_graph] - 1],
               center[0] + offset[0], center[1] + offset[1], center[2] + offset[2],
               atom->tag[atoms[atom_of_graph]], f[0], f[1], f[2]);
  };
  const double zero[3] = {0.0, 0.0, 0.0};
  print(k, zero);
  for (int64_t e = 0; e < n_edges; e++)
    if (graph.edge_index[e] == k) print(graph.edge_index[n_edges + e], &vectors[3 * e]);
  fclose(file);
  return name;
}

/* ----------------------------------------------------------------------
   |C - NC| of the atoms, in eV/A whatever the units of the simulation
------------------------------------------------------------------------- */

void PairMLIP::measure_disagreement()
{
  const auto &full = data->full;
  const auto &atoms = data->edges->atoms();
  std::vector<double> sums(data->elements.size(), 0.0);
  std::vector<int> counts(data->elements.size(), 0);
  double sum = 0.0, largest = 0.0;
  int worst = -1;
  for (size_t k = 0; k < atoms.size(); k++) {
    double square = 0.0;
    for (int c = 0; c < 3; c++) {
      const double d = full.forces[3 * k + c] - full.direct.forces[3 * k + c];
      square += d * d;
    }
    const int element = data->element_of_type[atom->type[atoms[k]]];
    sums[element] += square;
    counts[element]++;
    sum += square;
    if (square > largest) {
      largest = square;
      worst = atoms[k];
    }
  }
  pvector[RMS_DISAGREEMENT] = std::sqrt(sum / static_cast<double>(atoms.size()));
  pvector[MAX_DISAGREEMENT] = std::sqrt(largest);
  for (size_t e = 0; e < sums.size(); e++)
    pvector[N_EXTRA + e] = counts[e] ? std::sqrt(sums[e] / counts[e]) : NOT_EVALUATED;
  if (data->correction)
    std::copy(pvector, pvector + nextra, data->correction->pvector);    // either may be asked

  const auto &settings = data->settings;
  if (settings.on_disagreement == mlip::OnDisagreement::IGNORE || worst < 0 ||
      pvector[MAX_DISAGREEMENT] <= settings.max_disagreement)
    return;
  const auto message = fmt::format(
      "Pair style mlip: conservative and non-conservative force on atom {} (type {}) differ by "
      "{:.4g} eV/Angstrom in step {}, more than {:.4g}: the model may not know this environment",
      atom->tag[worst], atom->type[worst], pvector[MAX_DISAGREEMENT], update->ntimestep,
      settings.max_disagreement);
  if (settings.on_disagreement == mlip::OnDisagreement::STOP) {
    if (data->unsure.empty()) data->unsure = message;
    if (update->whichflag == 2) stop_if_unsure();    // no fix is asked between its steps
  } else if (!data->warned_disagreement) {
    data->warned_disagreement = true;
    if (comm->me == 0) error->warning(FLERR, "{}. This is said once in a run", message);
  }
}

/* ----------------------------------------------------------------------
   write a restart file, then stop. LAMMPS takes no commands during a run, which is over.
------------------------------------------------------------------------- */

void PairMLIP::stop_if_unsure()
{
  if (data->unsure.empty()) return;
  const std::string message = data->unsure;
  data->unsure.clear();
  data->settings.on_disagreement = mlip::OnDisagreement::IGNORE;
  const auto name = fmt::format("mlip_disagreement_{}.restart", update->ntimestep);
  update->whichflag = 0;
  lammps_command(lmp, ("write_restart " + name).c_str());
  if (lammps_has_error(lmp)) error->all(FLERR, "{}. {} could not be written", message, name);
  error->all(FLERR, "{}. The state is in {}", message, name);
}

/* ----------------------------------------------------------------------
   for compute mlip/disagreement/atom: under r-RESPA the evaluation is there already
------------------------------------------------------------------------- */

void PairMLIP::atomic_disagreement(double *values)
{
  PairMLIP &source = data->is_correction() && data->non_conservative ? *data->non_conservative
                                                                     : *this;
  Data &shared = *source.data;
  if (!shared.model->info().has_non_conservative_forces)
    error->all(FLERR,
               "Compute mlip/disagreement/atom needs a model with non-conservative forces, {} has "
               "none",
               shared.file);
  std::fill(values, values + atom->nlocal, 0.0);
  if (!shared.has_full(atom, false)) {
    if (!source.gather()) return;
    source.evaluate(true, false);
  }
  const auto &atoms = shared.edges->atoms();
  for (size_t k = 0; k < atoms.size(); k++) {
    double square = 0.0;
    for (int c = 0; c < 3; c++) {
      const double d = shared.full.forces[3 * k + c] - shared.full.direct.forces[3 * k + c];
      square += d * d;
    }
    values[atoms[k]] = std::sqrt(square);
  }
}
