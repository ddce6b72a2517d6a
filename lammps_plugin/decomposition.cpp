#include "decomposition.h"

#include "boundary_edges.h"
#include "current_graph.h"
#include "domain_edge_list.h"
#include "ghost_exchange.h"
#include "model_file.h"
#include "periodic_edge_list.h"

#include "comm.h"
#include "domain.h"
#include "error.h"
#include "neighbor.h"
#include "utils.h"

#include <algorithm>

using namespace LAMMPS_NS;

namespace mlip {

// with `parallel auto`: below, evaluating atoms of others costs less than asking for them
static constexpr double WORTH_AN_EXCHANGE = 1.1;

/* ---------------------------------------------------------------------- */

Decomposition::Decomposition(LAMMPS *lmp, CurrentGraph &graph, GhostRows &rows,
                             Agreement &processes) :
    Pointers(lmp), graph_(graph), rows_(rows), processes_(processes)
{
}

Decomposition::~Decomposition() = default;

/* ---------------------------------------------------------------------- */

void Decomposition::start_over(const ModelInfo &info)
{
  exchange_.reset();
  if (comm->nprocs > 1)
    graph_.use(std::make_unique<DomainEdgeList>(info.cutoff, info.most_layers, false));
  else
    graph_.use(std::make_unique<PeriodicEdgeList>(info.cutoff));
  boundary_.reset();
}

/* ---------------------------------------------------------------------- */

bool Decomposition::begin_run(const ModelFile &file, Parallel wanted, bool unfolded)
{
  has_told_graph_ = false;
  const auto &info = file.info();
  if (comm->nprocs == 1) {
    if (unfolded) extend_ghosts(info, unfolded);
    return false;
  }
  const bool exchanges = choose_exchange(file, wanted);
  const bool changes = exchanges != (exchange_ != nullptr);
  if (changes) {
    exchange_.reset();
    const bool swaps = exchanges && info.has_edge_exchange;
    std::unique_ptr<BoundaryEdges> boundary(swaps ? new BoundaryEdges(lmp, processes_, rows_)
                                                  : nullptr);
    graph_.use(
        std::make_unique<DomainEdgeList>(info.cutoff, info.most_layers, exchanges, boundary.get()));
    boundary_.swap(boundary);
    if (exchanges)
      exchange_ = std::make_unique<GhostExchange>(graph_, rows_, processes_, boundary_.get());
  }
  extend_ghosts(info, unfolded);
  return changes;
}

/* ----------------------------------------------------------------------
   halo or exchange, and why
------------------------------------------------------------------------- */

bool Decomposition::choose_exchange(const ModelFile &file, Parallel wanted)
{
  const auto &info = file.info();
  bool exchanges = wanted == Parallel::EXCHANGE;
  std::string reason = "as asked for";
  if (exchanges && !info.has_feature_exchange)
    error->all(
        FLERR,
        "Pair style mlip parallel exchange: the network in {} cannot exchange features, or "
        "was exported before it could. Use parallel halo, or export it again from its checkpoint "
        "with mlip-export",
        file.path());
  if (wanted == Parallel::AUTO) {
    const double factor = estimate_halo(info);
    exchanges = info.most_layers > 1 && info.has_feature_exchange && factor > WORTH_AN_EXCHANGE;
    if (info.most_layers == 1)
      reason = "one layer: nothing is evaluated twice";
    else if (!info.has_feature_exchange)
      reason = "the network in this file cannot exchange features";
    else
      reason = fmt::format("with a halo, {:.3g} times as many atoms would be evaluated", factor);
  }
  if (comm->me == 0 && exchanges != announced_exchange_.value_or(!exchanges))
    utils::logmesg(lmp, "Pair style mlip: parallel {}: {}\n", exchanges ? "exchange" : "halo",
                   reason);
  announced_exchange_ = exchanges;
  return exchanges;
}

/* ----------------------------------------------------------------------
   how many times as many atoms as there are all processes together evaluate with a halo, if
   atoms are spread evenly. No process sees an atom twice, so no direction is longer than the box.
------------------------------------------------------------------------- */

double Decomposition::estimate_halo(const ModelInfo &info) const
{
  double factor = 1.0;
  for (int k = 0; k < 3; k++) {
    const double length = domain->prd[k] / comm->procgrid[k];
    factor *= std::min(length + 2.0 * info.interaction_range, domain->prd[k]) / length;
  }
  return factor;
}

/* ----------------------------------------------------------------------
   everything that the energies of owned atoms depend on has to be among the ghosts
------------------------------------------------------------------------- */

void Decomposition::extend_ghosts(const ModelInfo &info, bool unfolded) const
{
  if (comm->mode != Comm::SINGLE)
    error->all(FLERR, "Pair style mlip on several processes, or with compute centroid/stress/atom, "
                      "needs one communication cutoff for all atoms: remove 'comm_modify mode', or "
                      "use 'comm_modify mode single'");
  const double range = exchange_ && !unfolded ? info.cutoff : info.interaction_range;
  const double reach = range + neighbor->skin;
  if (comm->cutghostuser >= reach) return;
  if (comm->me == 0)
    utils::logmesg(lmp,
                   "Pair style mlip: communication cutoff {:.6g} A, what the model needs around a "
                   "domain, {:.6g} A, plus the skin (as with: comm_modify cutoff {:.6g})\n",
                   reach, range, reach);
  comm->cutghostuser = reach;
}

/* ---------------------------------------------------------------------- */

bool Decomposition::needs_neighbors_of_ghosts(const ModelInfo &info) const
{
  return comm->nprocs > 1 && !exchange_ && info.most_layers > 1;
}

/* ---------------------------------------------------------------------- */

void Decomposition::tell_graph()
{
  if (has_told_graph_) return;
  has_told_graph_ = true;
  const double owned = graph_.edges().owned().size();
  const double held = owned + graph_.edges().others().size();
  const double n_edges = graph_.local().n_edges();
  if (comm->nprocs == 1) {
    utils::logmesg(lmp, "Pair style mlip: {:.0f} atoms with {:.0f} edges\n", owned, n_edges);
    return;
  }
  const double swapped = boundary_ ? boundary_->n_rows() : 0.0;
  const double mine[5] = {owned, exchange_ ? owned : held, n_edges, held, swapped};
  double sums[5], largest[5];
  MPI_Reduce(mine, sums, 5, MPI_DOUBLE, MPI_SUM, 0, world);
  MPI_Reduce(mine, largest, 5, MPI_DOUBLE, MPI_MAX, 0, world);
  if (comm->me != 0) return;
  for (double &sum : sums) sum /= comm->nprocs;    // the mean
  std::string text = fmt::format(
      "Pair style mlip: a process owns {:.0f} atoms (at most {:.0f}), evaluates {:.0f} ({:.0f}) "
      "with {:.0f} ({:.0f}) edges and holds {:.0f} ({:.0f})",
      sums[0], largest[0], sums[1], largest[1], sums[2], largest[2], sums[3], largest[3]);
  if (boundary_)
    text += fmt::format(". It exchanges features of {:.0f} ({:.0f}) edges", sums[4], largest[4]);
  utils::logmesg(lmp, text + "\n");
}

/* ---------------------------------------------------------------------- */

double Decomposition::memory_usage() const
{
  return boundary_ ? boundary_->memory_usage() : 0.0;
}

}    // namespace mlip
