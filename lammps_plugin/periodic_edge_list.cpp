#include "periodic_edge_list.h"

#include "atom.h"
#include "domain.h"
#include "neigh_list.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

using namespace LAMMPS_NS;

namespace mlip {

/* ---------------------------------------------------------------------- */

void PeriodicEdgeList::rebuild(const NeighList &list, const Atom &atom, const Domain &domain,
                               const std::vector<int64_t> &numbers)
{
  choose_atoms(list, atom, numbers);
  find_owners(atom, domain);
  collect_candidates(list);
  check_directions(atom.x);

  n_owned_ = atom.nlocal;
  remember_positions(atom);
  edge_of_.resize(pairs_.size());
}

/* ----------------------------------------------------------------------
   which owned atom each ghost is an image of, and by which lattice translation
------------------------------------------------------------------------- */

void PeriodicEdgeList::find_owners(const Atom &atom, const Domain &domain)
{
  const int n_owned = atom.nlocal;
  const int n_all = n_owned + atom.nghost;
  const OwnedAtoms owned_atoms(atom);

  owner_.resize(n_all);
  shift_.assign(n_all, 0);
  for (int i = 0; i < n_owned; i++) owner_[i] = i;

  for (int g = n_owned; g < n_all; g++) {
    const int j = owned_atoms.find(atom.tag[g]);
    if (j < 0)
      throw std::runtime_error("ghost atom with ID " + std::to_string(atom.tag[g]) +
                               " is not an image of any atom of this process");
    owner_[g] = j;
    shift_[g] = shift_between(atom.x[j], atom.x[g], domain);
  }
}

/* ----------------------------------------------------------------------
   all pairs LAMMPS lists (cutoff plus skin), in an order that does not depend on its bins
------------------------------------------------------------------------- */

void PeriodicEdgeList::collect_candidates(const NeighList &list)
{
  pairs_.clear();
  for (size_t k = 0; k < owned_.size(); k++) {
    const int i = owned_[k];
    const int *const neighbors = list.firstneigh[i];
    for (int jj = 0; jj < list.numneigh[i]; jj++) {
      const int j = neighbors[jj] & NEIGHMASK;
      const int neighbor = index_[owner_[j]];
      if (neighbor >= 0) pairs_.add({static_cast<int>(k), neighbor, shift_[j], i, j});
    }
  }
  pairs_.arrange(owned_.size());
}

/* ----------------------------------------------------------------------
   if LAMMPS lists a pair in one direction only, it is not within the cutoff
------------------------------------------------------------------------- */

void PeriodicEdgeList::check_directions(const double *const *x) const
{
  for (int e = 0; e < pairs_.size(); e++) {
    if (pairs_[e].reverse >= 0) continue;
    if (const auto distance = one_way_edge(x, pairs_[e].origin, pairs_[e].image))
      throw std::runtime_error("the neighbor list of LAMMPS has a pair at distance " +
                               std::to_string(*distance) +
                               " Angstrom in one direction only; the model needs both");
  }
}

/* ---------------------------------------------------------------------- */

void PeriodicEdgeList::update(const double *const *x, int, LocalGraph &graph)
{
  pairs_.measure(x, cutoff_);
  const int n_candidates = pairs_.size();
  int64_t n_edges = 0;
  for (int e = 0; e < n_candidates; e++) edge_of_[e] = pairs_.is_edge(e) ? n_edges++ : -1;

  graph.edge_index.resize(2 * n_edges);
  graph.edge_vectors.resize(3 * n_edges);
  graph.reverse_edge.resize(n_edges);
  graph.n_counted = static_cast<int64_t>(owned_.size());
  for (int e = 0; e < n_candidates; e++) {
    const int64_t edge = edge_of_[e];
    if (edge < 0) continue;
    graph.edge_index[edge] = pairs_[e].centre;
    graph.edge_index[n_edges + edge] = pairs_[e].neighbor;
    graph.reverse_edge[edge] = edge_of_[pairs_[e].reverse];
    pairs_.copy_vector(e, &graph.edge_vectors[3 * edge]);
  }
}

/* ---------------------------------------------------------------------- */

double PeriodicEdgeList::largest_approach(const double *const *x) const
{
  // a pair has an owned atom and another one, owned or an image: images also move with the box
  double owned = 0.0, second = 0.0, image = 0.0;    // squared
  for (size_t i = 0; i < built_at_.size() / 3; i++) {
    const double rsq = moved_sq(x, i);
    if (i >= n_owned_) {
      image = std::max(image, rsq);
    } else if (rsq > owned) {
      second = owned;
      owned = rsq;
    } else {
      second = std::max(second, rsq);
    }
  }
  return std::sqrt(owned) + std::sqrt(std::max(second, image));
}

/* ---------------------------------------------------------------------- */

double PeriodicEdgeList::memory_usage() const
{
  return EdgeList::memory_usage() + pairs_.memory_usage() +
         static_cast<double>(owner_.capacity() * sizeof(int) +
                             (shift_.capacity() + edge_of_.capacity()) * sizeof(int64_t));
}

}    // namespace mlip
