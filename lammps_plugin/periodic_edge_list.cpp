#include "periodic_edge_list.h"

#include "atom.h"
#include "domain.h"
#include "neigh_list.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

using namespace LAMMPS_NS;

namespace mlip {

/* ---------------------------------------------------------------------- */

void PeriodicEdgeList::rebuild(const NeighList &list, const Atom &atom, const Domain &domain,
                               const std::vector<int64_t> &number_of_type)
{
  choose_atoms(list, atom, number_of_type);
  find_owners(atom, domain);
  collect_candidates(list);
  match_reverse(atom.x);

  n_owned_ = atom.nlocal;
  remember_positions(atom);
  candidate_vectors_.resize(3 * candidates_.size());
  edge_of_.resize(candidates_.size());
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
  const int n_atoms = static_cast<int>(owned_.size());
  first_.assign(n_atoms + 1, 0);
  candidates_.clear();
  for (int k = 0; k < n_atoms; k++) {
    const int i = owned_[k];
    const int *const neighbors = list.firstneigh[i];
    for (int jj = 0; jj < list.numneigh[i]; jj++) {
      const int j = neighbors[jj] & NEIGHMASK;
      const int neighbor = index_[owner_[j]];
      if (neighbor >= 0) candidates_.push_back({k, neighbor, i, j, shift_[j], -1});
    }
    first_[k + 1] = static_cast<int>(candidates_.size());
    std::sort(candidates_.begin() + first_[k], candidates_.end(),
              [](const Candidate &a, const Candidate &b) {
                return a.neighbor != b.neighbor ? a.neighbor < b.neighbor : a.shift < b.shift;
              });
  }
}

/* ----------------------------------------------------------------------
   the reverse of (i, j, s) is (j, i, -s). At the very edge of the skin, rounding may let LAMMPS
   list one of the two only; such a pair is dropped, it is not within the cutoff
------------------------------------------------------------------------- */

void PeriodicEdgeList::match_reverse(const double *const *x)
{
  const int n_candidates = static_cast<int>(candidates_.size());
  for (int e = 0; e < n_candidates; e++) {
    Candidate &candidate = candidates_[e];
    if (candidate.reverse >= 0) continue;

    const std::pair<int, int64_t> wanted(candidate.centre, -candidate.shift);
    const auto end = candidates_.begin() + first_[candidate.neighbor + 1];
    const auto found =
        std::lower_bound(candidates_.begin() + first_[candidate.neighbor], end, wanted,
                         [](const Candidate &a, const std::pair<int, int64_t> &b) {
                           return a.neighbor != b.first ? a.neighbor < b.first : a.shift < b.second;
                         });
    if (found != end && found->neighbor == wanted.first && found->shift == wanted.second) {
      candidate.reverse = static_cast<int>(found - candidates_.begin());
      found->reverse = e;
      continue;
    }

    double rsq = 0.0;
    for (int k = 0; k < 3; k++) {
      const double d = x[candidate.image][k] - x[candidate.origin][k];
      rsq += d * d;
    }
    if (std::sqrt(rsq) < cutoff_ * (1.0 - 1.0e-9))
      throw std::runtime_error("the neighbor list of LAMMPS has a pair at distance " +
                               std::to_string(std::sqrt(rsq)) +
                               " Angstrom in one direction only; the model needs both");
  }
}

/* ---------------------------------------------------------------------- */

void PeriodicEdgeList::update(const double *const *x, int, LocalGraph &graph)
{
  const int n_candidates = static_cast<int>(candidates_.size());
  const double cutoff_sq = cutoff_ * cutoff_;

  for (int e = 0; e < n_candidates; e++) {
    const Candidate &candidate = candidates_[e];
    if (candidate.reverse < e) {    // measured already, or without reverse
      if (candidate.reverse < 0) edge_of_[e] = -1;
      continue;
    }
    const double *const from = x[candidate.origin];
    const double *const to = x[candidate.image];
    double *const d = &candidate_vectors_[3 * static_cast<size_t>(e)];
    d[0] = to[0] - from[0];
    d[1] = to[1] - from[1];
    d[2] = to[2] - from[2];
    const bool is_edge = d[0] * d[0] + d[1] * d[1] + d[2] * d[2] < cutoff_sq;
    edge_of_[e] = edge_of_[candidate.reverse] = is_edge ? 0 : -1;
  }

  int64_t n_edges = 0;
  for (int e = 0; e < n_candidates; e++)
    if (edge_of_[e] >= 0) edge_of_[e] = n_edges++;

  graph.edge_index.resize(2 * n_edges);
  graph.edge_vectors.resize(3 * n_edges);
  graph.reverse_edge.resize(n_edges);
  graph.n_counted = static_cast<int64_t>(owned_.size());
  for (int e = 0; e < n_candidates; e++) {
    const int64_t edge = edge_of_[e];
    if (edge < 0) continue;
    const Candidate &candidate = candidates_[e];
    const bool is_first = candidate.reverse > e;
    const double sign = is_first ? 1.0 : -1.0;
    const double *const d =
        &candidate_vectors_[3 * static_cast<size_t>(is_first ? e : candidate.reverse)];
    graph.edge_index[edge] = candidate.centre;
    graph.edge_index[n_edges + edge] = candidate.neighbor;
    graph.reverse_edge[edge] = edge_of_[candidate.reverse];
    for (int k = 0; k < 3; k++) graph.edge_vectors[3 * edge + k] = sign * d[k];
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
  return EdgeList::memory_usage() +
         static_cast<double>(candidates_.capacity() * sizeof(Candidate) +
                             (first_.capacity() + owner_.capacity()) * sizeof(int) +
                             (shift_.capacity() + edge_of_.capacity()) * sizeof(int64_t) +
                             candidate_vectors_.capacity() * sizeof(double));
}

}    // namespace mlip
