#include "edge_list.h"

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

// A shift is three small integers; packed into one, they sort, compare and change sign together.
static constexpr int64_t SHIFT_BASE = int64_t(1) << 20;

static int64_t pack_shift(int64_t a, int64_t b, int64_t c)
{
  return (a * SHIFT_BASE + b) * SHIFT_BASE + c;
}

/* ---------------------------------------------------------------------- */

void EdgeList::rebuild(const NeighList &list, const Atom &atom, const Domain &domain,
                       const std::vector<int64_t> &number_of_type)
{
  choose_atoms(list, atom, number_of_type);
  find_owners(atom, domain);
  collect_candidates(list);
  match_reverse(atom.x);

  n_owned_ = atom.nlocal;
  built_at_.assign(&atom.x[0][0],
                   &atom.x[0][0] + 3 * static_cast<size_t>(atom.nlocal + atom.nghost));
  candidate_vectors_.resize(3 * candidates_.size());
  edge_of_.resize(candidates_.size());
}

/* ----------------------------------------------------------------------
   the owned atoms that have an element; LAMMPS must have listed the neighbors of each
------------------------------------------------------------------------- */

void EdgeList::choose_atoms(const NeighList &list, const Atom &atom,
                            const std::vector<int64_t> &number_of_type)
{
  std::vector<char> is_listed(atom.nlocal, 0);
  for (int ii = 0; ii < list.inum; ii++) is_listed[list.ilist[ii]] = 1;

  atoms_.clear();
  index_.assign(atom.nlocal, -1);
  for (int i = 0; i < atom.nlocal; i++) {
    if (number_of_type[atom.type[i]] == 0) continue;
    if (!is_listed[i])
      throw std::runtime_error("LAMMPS lists no neighbors for atom " + std::to_string(atom.tag[i]) +
                               ", whose type has an element of the model. Remove 'neigh_modify "
                               "include', or give its type NULL in pair_coeff");
    index_[i] = static_cast<int>(atoms_.size());
    atoms_.push_back(i);
  }
}

/* ----------------------------------------------------------------------
   which owned atom each ghost is an image of, and by which lattice translation
------------------------------------------------------------------------- */

void EdgeList::find_owners(const Atom &atom, const Domain &domain)
{
  const int n_owned = atom.nlocal;
  const int n_all = n_owned + atom.nghost;
  const double *const *x = atom.x;

  std::vector<std::pair<tagint, int>> index_of_tag(n_owned);
  for (int i = 0; i < n_owned; i++) index_of_tag[i] = {atom.tag[i], i};
  std::sort(index_of_tag.begin(), index_of_tag.end());
  for (int i = 1; i < n_owned; i++)
    if (index_of_tag[i].first == index_of_tag[i - 1].first)
      throw std::runtime_error("atom IDs must be unique, ID " +
                               std::to_string(index_of_tag[i].first) +
                               " occurs twice. Use the reset_atoms id command");

  owner_.resize(n_all);
  shift_.assign(n_all, 0);
  for (int i = 0; i < n_owned; i++) owner_[i] = i;

  const double *h = domain.h_inv;
  for (int g = n_owned; g < n_all; g++) {
    const auto found = std::lower_bound(index_of_tag.begin(), index_of_tag.end(),
                                        std::pair<tagint, int>(atom.tag[g], -1));
    if (found == index_of_tag.end() || found->first != atom.tag[g])
      throw std::runtime_error("ghost atom with ID " + std::to_string(atom.tag[g]) +
                               " is not an image of any atom of this process");
    const int j = found->second;
    owner_[g] = j;

    const double d[3] = {x[g][0] - x[j][0], x[g][1] - x[j][1], x[g][2] - x[j][2]};
    double a = h[0] * d[0], b = h[1] * d[1], c = h[2] * d[2];
    if (domain.triclinic) {
      a += h[5] * d[1] + h[4] * d[2];
      b += h[3] * d[2];
    }
    shift_[g] = pack_shift(std::llround(a), std::llround(b), std::llround(c));
  }
}

/* ----------------------------------------------------------------------
   all pairs LAMMPS lists (cutoff plus skin), in an order that does not depend on its bins
------------------------------------------------------------------------- */

void EdgeList::collect_candidates(const NeighList &list)
{
  const int n_atoms = static_cast<int>(atoms_.size());
  first_.assign(n_atoms + 1, 0);
  candidates_.clear();
  for (int k = 0; k < n_atoms; k++) {
    const int i = atoms_[k];
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

void EdgeList::match_reverse(const double *const *x)
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

void EdgeList::update(const double *const *x, LocalGraph &graph)
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

double EdgeList::largest_approach(const double *const *x) const
{
  // a pair has an owned atom and another one, owned or an image: images also move with the box
  double owned = 0.0, second = 0.0, image = 0.0;    // squared
  for (size_t i = 0; i < built_at_.size() / 3; i++) {
    double rsq = 0.0;
    for (int k = 0; k < 3; k++) {
      const double d = x[i][k] - built_at_[3 * i + k];
      rsq += d * d;
    }
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

double EdgeList::memory_usage() const
{
  return static_cast<double>(
      candidates_.capacity() * sizeof(Candidate) +
      (first_.capacity() + atoms_.capacity() + index_.capacity() + owner_.capacity()) *
          sizeof(int) +
      (shift_.capacity() + edge_of_.capacity()) * sizeof(int64_t) +
      (built_at_.capacity() + candidate_vectors_.capacity()) * sizeof(double));
}

}    // namespace mlip
