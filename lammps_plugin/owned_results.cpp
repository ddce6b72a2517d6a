#include "owned_results.h"

#include "current_graph.h"
#include "ghost_rows.h"
#include "model.h"

#include "comm.h"

using namespace LAMMPS_NS;

namespace mlip {

/* ---------------------------------------------------------------------- */

void OwnedResults::reduce(Evaluation &full)
{
  if (comm->nprocs == 1) return;
  full.atomic_energies.resize(graph_.edges().owned().size());
  full.energy = 0.0;
  for (const double energy : full.atomic_energies) full.energy += energy;
  add_from_ghosts(full.forces, 3);
  add_from_ghosts(full.atomic_virials, 9);
  add_from_ghosts(full.centroid_virials, 9);
  reduce(full.direct);
}

/* ---------------------------------------------------------------------- */

void OwnedResults::reduce(NonConservative &direct)
{
  if (comm->nprocs > 1 && !direct.forces.empty()) remove_net_force(direct.forces);
}

/* ---------------------------------------------------------------------- */

void OwnedResults::add_from_ghosts(std::vector<double> &values, int width)
{
  if (values.empty()) return;
  const auto &owned = graph_.edges().owned();
  rows_.clear<double>(width);
  const double *next = &values[(owned.size() + 1) * width];    // after the probe
  for (const int i : graph_.edges().others()) {
    rows_.put(i, next);
    next += width;
  }
  rows_.sum_at_owners();

  values.resize(owned.size() * width);
  std::vector<double> sums(width);
  for (size_t n = 0; n < owned.size(); n++) {
    rows_.get(owned[n], sums.data());
    for (int k = 0; k < width; k++) values[n * width + k] += sums[k];
  }
}

/* ----------------------------------------------------------------------
   The model has removed the net force of this process, which the probe tells: take that of all
   instead.
------------------------------------------------------------------------- */

void OwnedResults::remove_net_force(std::vector<double> &forces) const
{
  const size_t n_owned = graph_.edges().owned().size();
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

}    // namespace mlip
