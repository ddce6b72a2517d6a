/* ----------------------------------------------------------------------
   Pair style mlip on several processes: what is evaluated at atoms of other processes goes
   to their owners, and what is a property of all atoms is summed over the processes.
------------------------------------------------------------------------- */

#include "pair_mlip_data.h"

#include "comm.h"

#include <cstring>

using namespace LAMMPS_NS;

/* ----------------------------------------------------------------------
   From what a model gives for the local graph to values of the owned atoms: the energies of
   others are counted by their owners, forces and virials are sums over all processes.
------------------------------------------------------------------------- */

void PairMLIP::collect(mlip::Evaluation &full)
{
  if (comm->nprocs == 1) return;
  full.atomic_energies.resize(data->edges->owned().size());
  full.energy = 0.0;
  for (const double energy : full.atomic_energies) full.energy += energy;
  add_from_ghosts(full.forces, 3);
  add_from_ghosts(full.atomic_virials, 9);
  add_from_ghosts(full.centroid_virials, 9);
  if (!full.direct.forces.empty()) remove_net_force(full.direct.forces);
}

/* ----------------------------------------------------------------------
   Values (n_atoms, width) of the atoms of the graph to sums (n_owned, width) at their owners,
   whatever the newton setting. Empty ones were not asked for.
------------------------------------------------------------------------- */

void PairMLIP::add_from_ghosts(std::vector<double> &values, int width)
{
  if (values.empty()) return;
  const auto &owned = data->edges->owned();
  const auto &others = data->edges->others();
  auto &rows = data->rows;
  rows.assign(static_cast<size_t>(atom->nlocal + atom->nghost) * width, 0.0);
  const double *next = &values[(owned.size() + 1) * width];    // after the probe
  for (const int i : others)
    for (int k = 0; k < width; k++) rows[static_cast<size_t>(i) * width + k] = *next++;

  data->row_width = data->n_columns = width;
  data->first_column = 0;
  data->rows_are_float = false;
  sum_at_owners(width);

  values.resize(owned.size() * width);
  for (size_t n = 0; n < owned.size(); n++)
    for (int k = 0; k < width; k++)
      values[n * width + k] += rows[static_cast<size_t>(owned[n]) * width + k];
}

/* ----------------------------------------------------------------------
   The model has removed the net force of this process, which the probe tells: take that of all
   instead. Forces (n_atoms, 3) of the graph to those of the owned atoms.
------------------------------------------------------------------------- */

void PairMLIP::remove_net_force(std::vector<double> &forces)
{
  const size_t n_owned = data->edges->owned().size();
  const double removed[3] = {-forces[3 * n_owned], -forces[3 * n_owned + 1],
                             -forces[3 * n_owned + 2]};
  forces.resize(3 * n_owned);
  double mine[4] = {0.0, 0.0, 0.0, static_cast<double>(n_owned)}, net[4];
  for (size_t n = 0; n < n_owned; n++)
    for (int k = 0; k < 3; k++) mine[k] += forces[3 * n + k] += removed[k];
  MPI_Allreduce(mine, net, 4, MPI_DOUBLE, MPI_SUM, world);
  for (size_t n = 0; n < n_owned; n++)
    for (int k = 0; k < 3; k++) forces[3 * n + k] -= net[k] / net[3];
}

/* ----------------------------------------------------------------------
   does a sub-style have what is needed at these positions, on every process?
------------------------------------------------------------------------- */

bool PairMLIP::has_full(const Data &source, bool with_atomic_virials) const
{
  return data->processes.all(source.has_full_here(atom, with_atomic_virials));
}

/* ----------------------------------------------------------------------
   columns of rows to and from ghosts
------------------------------------------------------------------------- */

int PairMLIP::pack_forward_comm(int n, int *list, double *buffer, int, int *)
{
  int m = 0;
  for (int k = 0; k < n; k++) {
    const double *row = &data->rows[static_cast<size_t>(list[k]) * data->row_width];
    for (int c = 0; c < data->n_columns; c++) buffer[m++] = row[data->first_column + c];
  }
  return m;
}

/* ---------------------------------------------------------------------- */

void PairMLIP::unpack_forward_comm(int n, int first, double *buffer)
{
  int m = 0;
  for (int i = first; i < first + n; i++) {
    double *row = &data->rows[static_cast<size_t>(i) * data->row_width];
    for (int c = 0; c < data->n_columns; c++) row[data->first_column + c] = buffer[m++];
  }
}

/* ---------------------------------------------------------------------- */

int PairMLIP::pack_reverse_comm(int n, int first, double *buffer)
{
  int m = 0;
  for (int i = first; i < first + n; i++) {
    const double *row = &data->rows[static_cast<size_t>(i) * data->row_width];
    for (int c = 0; c < data->n_columns; c++) buffer[m++] = row[data->first_column + c];
  }
  return m;
}

// doubles that hold two floats each; memcpy, for which a compiler needs no call, because they are no doubles
static void add_floats(double *to, const double *from, int n)
{
  for (int k = 0; k < n; k++) {
    float sum, term;
    std::memcpy(&sum, reinterpret_cast<char *>(to) + k * sizeof(float), sizeof(float));
    std::memcpy(&term, reinterpret_cast<const char *>(from) + k * sizeof(float), sizeof(float));
    sum += term;
    std::memcpy(reinterpret_cast<char *>(to) + k * sizeof(float), &sum, sizeof(float));
  }
}

/* ---------------------------------------------------------------------- */

void PairMLIP::unpack_reverse_comm(int n, int *list, double *buffer)
{
  int m = 0;
  for (int k = 0; k < n; k++) {
    double *row = &data->rows[static_cast<size_t>(list[k]) * data->row_width] + data->first_column;
    if (data->rows_are_float) {
      add_floats(row, buffer + m, 2 * data->n_columns);
    } else {
      for (int c = 0; c < data->n_columns; c++) row[c] += buffer[m + c];
    }
    m += data->n_columns;
  }
}
