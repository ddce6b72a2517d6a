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
#include <stdexcept>

using namespace LAMMPS_NS;

/* ----------------------------------------------------------------------
   forces (n_atoms, 3) in eV/A. A minimizer limits its steps and may start anywhere.
------------------------------------------------------------------------- */

void PairMLIP::check_forces(const double *forces, const char *which)
{
  const double limit = data->settings.max_force;
  const int n_atoms = static_cast<int>(data->edges->owned().size());
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
   for together(), which ends all processes in order: an abort would lose what LAMMPS has not
   written yet of log and dump files
------------------------------------------------------------------------- */

void PairMLIP::stop_at_atom(int k, const double *forces, const std::string &reason)
{
  const int i = data->edges->owned()[k];
  const std::string file = write_neighborhood(k, forces);
  throw std::runtime_error(fmt::format("atom {} (type {}) in step {}: {}\n{}", atom->tag[i],
                                       atom->type[i], update->ntimestep, reason,
                                       file.empty()
                                           ? "Its neighborhood could not be written to a file"
                                           : "Its neighborhood is in " + file));
}

/* ----------------------------------------------------------------------
   the atom and all within the cutoff as extended XYZ; returns the name of the file
------------------------------------------------------------------------- */

std::string PairMLIP::write_neighborhood(int k, const double *forces) const
{
  const auto &graph = data->graph;
  // the probe, which has no neighbors, lies between the atoms of this process and those of others
  std::vector<int> atoms = data->edges->owned();
  const int n_owned = static_cast<int>(atoms.size());
  if (graph.n_counted > n_owned) atoms.push_back(-1);
  atoms.insert(atoms.end(), data->edges->others().begin(), data->edges->others().end());
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
    // those of other processes' atoms are known there only
    static constexpr double UNKNOWN[3] = {NAN, NAN, NAN};
    const double *f = atom_of_graph < n_owned ? forces + 3 * atom_of_graph : UNKNOWN;
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
  const auto &atoms = data->edges->owned();
  const size_t n_elements = data->elements.size();
  // sums of squares, then numbers of atoms
  std::vector<double> mine(2 * n_elements, 0.0), all(2 * n_elements);
  double largest = -1.0;
  int worst = -1;
  for (size_t k = 0; k < atoms.size(); k++) {
    double square = 0.0;
    for (int c = 0; c < 3; c++) {
      const double d = full.forces[3 * k + c] - full.direct.forces[3 * k + c];
      square += d * d;
    }
    const int element = data->element_of_type[atom->type[atoms[k]]];
    mine[element] += square;
    mine[n_elements + element] += 1.0;
    if (square > largest) {
      largest = square;
      worst = atoms[k];
    }
  }
  MPI_Allreduce(mine.data(), all.data(), static_cast<int>(all.size()), MPI_DOUBLE, MPI_SUM, world);
  double sum = 0.0, count = 0.0;
  for (size_t e = 0; e < n_elements; e++) {
    sum += all[e];
    count += all[n_elements + e];
    show(N_EXTRA + static_cast<int>(e),
         all[n_elements + e] > 0.0 ? std::sqrt(all[e] / all[n_elements + e]) : NOT_EVALUATED);
  }
  struct {
    double value;
    int process;
  } candidate = {largest, comm->me}, chosen;
  MPI_Allreduce(&candidate, &chosen, 1, MPI_DOUBLE_INT, MPI_MAXLOC, world);
  show(RMS_DISAGREEMENT, count > 0.0 ? std::sqrt(sum / count) : NOT_EVALUATED);
  show(MAX_DISAGREEMENT, count > 0.0 ? std::sqrt(chosen.value) : NOT_EVALUATED);
  if (data->correction)
    std::copy(pvector, pvector + nextra, data->correction->pvector);    // either may be asked
  if (count > 0.0 && data->settings.on_disagreement != mlip::OnDisagreement::IGNORE &&
      std::sqrt(chosen.value) > data->settings.max_disagreement)
    judge_disagreement(std::sqrt(chosen.value), chosen.process == comm->me ? worst : -1);
}

/* ----------------------------------------------------------------------
   called on all processes; one of them has the atom with the largest difference
------------------------------------------------------------------------- */

void PairMLIP::judge_disagreement(double difference, int worst)
{
  const auto &settings = data->settings;
  std::string message;
  if (worst >= 0)
    message = fmt::format(
        "Pair style mlip: conservative and non-conservative force on atom {} (type {}) differ by "
        "{:.4g} eV/Angstrom in step {}, more than {:.4g}: the model may not know this environment",
        atom->tag[worst], atom->type[worst], difference, update->ntimestep,
        settings.max_disagreement);
  message = data->processes.first_problem(message);
  if (settings.on_disagreement == mlip::OnDisagreement::STOP) {
    if (data->unsure.empty()) data->unsure = message;
    if (update->whichflag == 2) stop_if_unsure();    // no fix is asked between its steps
  } else if (!data->warned_disagreement) {
    data->warned_disagreement = true;
    if (comm->me == 0) error->warning(FLERR, "{}. This is said once in a run", message);
  }
}

/* ----------------------------------------------------------------------
   an entry of the vector of the style: compute pair sums it over the processes
------------------------------------------------------------------------- */

void PairMLIP::show(int entry, double value)
{
  pvector[entry] = comm->me == 0 ? value : 0.0;
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
  if (!has_full(shared, false)) {
    if (!source.gather()) return;
    source.evaluate(true, false);
  }
  const auto &atoms = shared.edges->owned();
  for (size_t k = 0; k < atoms.size(); k++) {
    double square = 0.0;
    for (int c = 0; c < 3; c++) {
      const double d = shared.full.forces[3 * k + c] - shared.full.direct.forces[3 * k + c];
      square += d * d;
    }
    values[atoms[k]] = std::sqrt(square);
  }
}
