#include "domain_edge_list.h"

#include "boundary_edges.h"

#include "atom.h"
#include "domain.h"
#include "neigh_list.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <tuple>
#include <unordered_map>

using namespace LAMMPS_NS;

namespace mlip {

/* ---------------------------------------------------------------------- */

void DomainEdgeList::rebuild(const NeighList &list, const Atom &atom, const Domain &domain,
                             const std::vector<int64_t> &number_of_type)
{
  choose_atoms(list, atom, number_of_type);
  find_nodes(atom, domain, number_of_type);
  collect_candidates(list);
  sort_candidates();
  remember_positions(atom);
  if (boundary_) match_boundary(atom, domain);
}

/* ----------------------------------------------------------------------
   owned and ghost atoms with the same ID are images of one node
------------------------------------------------------------------------- */

void DomainEdgeList::find_nodes(const Atom &atom, const Domain &domain,
                                const std::vector<int64_t> &number_of_type)
{
  const int n_owned = atom.nlocal;
  const int n_all = n_owned + atom.nghost;
  const OwnedAtoms owned_atoms(atom);

  node_.assign(n_all, -1);
  shift_.assign(n_all, 0);
  image_of_ = owned_;
  std::copy(index_.begin(), index_.end(), node_.begin());
  std::unordered_map<tagint, int> node_of_tag;
  for (int g = n_owned; g < n_all; g++) {
    if (number_of_type[atom.type[g]] == 0) continue;
    const int j = owned_atoms.find(atom.tag[g]);
    if (j >= 0) {
      node_[g] = index_[j];
    } else {
      const auto [found, is_new] =
          node_of_tag.emplace(atom.tag[g], static_cast<int>(image_of_.size()));
      if (is_new) image_of_.push_back(g);
      node_[g] = found->second;
    }
    shift_[g] = shift_between(atom.x[image_of_[node_[g]]], atom.x[g], domain);
  }
}

/* ----------------------------------------------------------------------
   Pairs of cutoff plus skin, outwards from the owned atoms. Whatever is up to n_layers edges away
   until the next rebuild is reached over images that LAMMPS has, and images of owned atoms need
   not be passed: the way from that atom itself is shorter.
------------------------------------------------------------------------- */

void DomainEdgeList::collect_candidates(const NeighList &list)
{
  candidates_.clear();
  std::vector<char> is_reached(node_.size(), 0);
  std::vector<int> shell = owned_, next;
  for (int depth = 0; depth < n_layers_ && !shell.empty(); depth++) {
    next.clear();
    for (const int i : shell) {
      add_pairs_of(i, list);
      if (depth + 1 == n_layers_) continue;
      for (int jj = 0; jj < list.numneigh[i]; jj++) {
        const int j = list.firstneigh[i][jj] & NEIGHMASK;
        if (is_reached[j] || node_[j] < static_cast<int>(owned_.size())) continue;
        is_reached[j] = 1;
        next.push_back(j);
      }
    }
    shell.swap(next);
  }
}

/* ----------------------------------------------------------------------
   each pair in both directions, so that no edge lacks its reverse
------------------------------------------------------------------------- */

void DomainEdgeList::add_pairs_of(int i, const NeighList &list)
{
  for (int jj = 0; jj < list.numneigh[i]; jj++) {
    const int j = list.firstneigh[i][jj] & NEIGHMASK;
    if (node_[j] < 0) continue;
    const int64_t shift = shift_[j] - shift_[i];
    candidates_.push_back({node_[i], node_[j], shift, i, j, -1});
    candidates_.push_back({node_[j], node_[i], -shift, j, i, -1});
  }
}

/* ----------------------------------------------------------------------
   by centre, neighbour and shift, each once, and every one with its reverse
------------------------------------------------------------------------- */

void DomainEdgeList::sort_candidates()
{
  const auto key = [](const Candidate &c) {
    return std::make_tuple(c.centre, c.neighbor, c.shift);
  };
  const auto is_less = [&](const Candidate &a, const Candidate &b) { return key(a) < key(b); };
  const auto is_same = [&](const Candidate &a, const Candidate &b) { return key(a) == key(b); };
  std::sort(candidates_.begin(), candidates_.end(), is_less);
  candidates_.erase(std::unique(candidates_.begin(), candidates_.end(), is_same),
                    candidates_.end());

  const int n_candidates = static_cast<int>(candidates_.size());
  first_.assign(image_of_.size() + 1, 0);
  for (const auto &candidate : candidates_) first_[candidate.centre + 1]++;
  for (size_t node = 1; node < first_.size(); node++) first_[node] += first_[node - 1];
  for (int e = 0; e < n_candidates; e++) {
    Candidate &candidate = candidates_[e];
    if (candidate.reverse >= 0) continue;
    const Candidate opposite = {candidate.neighbor, candidate.centre, -candidate.shift, 0, 0, 0};
    const auto found =
        std::lower_bound(candidates_.begin() + first_[candidate.neighbor],
                         candidates_.begin() + first_[candidate.neighbor + 1], opposite, is_less);
    candidate.reverse = static_cast<int>(found - candidates_.begin());
    found->reverse = e;
  }
  vectors_.resize(3 * candidates_.size());
  is_edge_.resize(candidates_.size());
  edge_of_.resize(candidates_.size());
}

/* ----------------------------------------------------------------------
   the pairs of an owned atom and one of others, by what the other process can tell as well
------------------------------------------------------------------------- */

void DomainEdgeList::match_boundary(const Atom &atom, const Domain &domain)
{
  boundary_->learn_homes(atom);
  const int n_owned = static_cast<int>(owned_.size());
  std::vector<BoundaryEdges::Pair> pairs;
  for (int e = 0; e < first_[n_owned]; e++) {
    const Candidate &candidate = candidates_[e];
    if (candidate.neighbor < n_owned) continue;
    const int image = image_of_[candidate.neighbor];
    const auto &home = boundary_->home(image);
    const int64_t shift = candidate.shift + shift_between(home.x, atom.x[image], domain);
    pairs.push_back(
        {home.process, atom.tag[image_of_[candidate.centre]], atom.tag[image], shift, e});
  }
  const auto alone = boundary_->match(std::move(pairs));

  unmatched_.clear();
  for (const auto &pair : alone) {
    const Candidate &candidate = candidates_[pair.candidate];
    unmatched_.push_back(pair.candidate);
    double rsq = 0.0;
    for (int k = 0; k < 3; k++) {
      const double d = atom.x[candidate.image][k] - atom.x[candidate.origin][k];
      rsq += d * d;
    }
    if (std::sqrt(rsq) < cutoff_ * (1.0 - 1.0e-9))
      throw std::runtime_error("atoms " + std::to_string(pair.own_id) + " and " +
                               std::to_string(pair.other_id) + " are neighbors at " +
                               std::to_string(std::sqrt(rsq)) +
                               " Angstrom for the process of the first and not for that of the "
                               "second; the model needs both. Use parallel halo");
  }
  pair_.assign(candidates_.size(), -1);
  const auto &matched = boundary_->pairs();
  for (size_t p = 0; p < matched.size(); p++) pair_[matched[p].candidate] = static_cast<int>(p);
  is_boundary_edge_.resize(matched.size());
}

/* ----------------------------------------------------------------------
   an edge between two processes is one for both: at the cutoff, rounding may differ
------------------------------------------------------------------------- */

void DomainEdgeList::settle_boundary()
{
  const auto &pairs = boundary_->pairs();
  for (size_t p = 0; p < pairs.size(); p++) is_boundary_edge_[p] = is_edge_[pairs[p].candidate];
  boundary_->settle(is_boundary_edge_);
  for (size_t p = 0; p < pairs.size(); p++) is_edge_[pairs[p].candidate] = is_boundary_edge_[p];
  for (const int e : unmatched_) is_edge_[e] = 0;
}

/* ---------------------------------------------------------------------- */

void DomainEdgeList::measure(const double *const *x)
{
  const double cutoff_sq = cutoff_ * cutoff_;
  for (size_t e = 0; e < candidates_.size(); e++) {
    const Candidate &candidate = candidates_[e];
    const size_t reverse = candidate.reverse;
    if (reverse < e) continue;    // measured already
    double rsq = 0.0;
    for (int k = 0; k < 3; k++) {
      const double d = x[candidate.image][k] - x[candidate.origin][k];
      vectors_[3 * e + k] = d;
      vectors_[3 * reverse + k] = -d;
      rsq += d * d;
    }
    is_edge_[e] = is_edge_[reverse] = rsq < cutoff_sq;
  }
}

/* ---------------------------------------------------------------------- */

void DomainEdgeList::find_depths(int n_layers)
{
  depth_.assign(image_of_.size(), -1);
  std::fill(depth_.begin(), depth_.begin() + owned_.size(), 0);
  std::vector<int> shell(owned_.size()), next;
  for (size_t k = 0; k < shell.size(); k++) shell[k] = static_cast<int>(k);
  for (int depth = 1; depth <= n_layers; depth++) {
    next.clear();
    for (const int node : shell)
      for (int e = first_[node]; e < first_[node + 1]; e++) {
        const int neighbor = candidates_[e].neighbor;
        if (!is_edge_[e] || depth_[neighbor] >= 0) continue;
        depth_[neighbor] = depth;
        next.push_back(neighbor);
      }
    shell.swap(next);
  }
}

/* ---------------------------------------------------------------------- */

void DomainEdgeList::update(const double *const *x, int n_layers, LocalGraph &graph)
{
  n_layers = owned_only_ ? 1 : std::min(n_layers, n_layers_);
  measure(x);
  if (boundary_) settle_boundary();
  find_depths(n_layers);

  const int n_nodes = static_cast<int>(image_of_.size());
  const int n_owned = static_cast<int>(owned_.size());
  graph.n_counted = n_owned + 1;    // with the probe
  row_.resize(n_nodes);
  others_.clear();
  for (int node = 0; node < n_nodes; node++) {
    row_[node] = node;
    if (node < n_owned || depth_[node] < 0) continue;
    row_[node] = n_owned + 1 + static_cast<int>(others_.size());
    others_.push_back(image_of_[node]);
  }

  // an edge needs an end that is a centre: less than n_layers edges away from the owned atoms
  const auto is_centre = [&](int node) { return depth_[node] >= 0 && depth_[node] < n_layers; };
  const int n_candidates = static_cast<int>(candidates_.size());
  int64_t n_edges = 0;
  for (int e = 0; e < n_candidates; e++) {
    const Candidate &candidate = candidates_[e];
    const bool is_used = is_edge_[e] && (is_centre(candidate.centre) ||
                                         (!owned_only_ && is_centre(candidate.neighbor)));
    edge_of_[e] = is_used ? n_edges++ : -1;
  }
  graph.edge_index.resize(2 * n_edges);
  graph.edge_vectors.resize(3 * n_edges);
  graph.reverse_edge.resize(n_edges);
  for (int e = 0; e < n_candidates; e++) {
    const int64_t edge = edge_of_[e];
    if (edge < 0) continue;
    graph.edge_index[edge] = row_[candidates_[e].centre];
    graph.edge_index[n_edges + edge] = row_[candidates_[e].neighbor];
    const int64_t reverse = edge_of_[candidates_[e].reverse];
    if (reverse >= 0)
      graph.reverse_edge[edge] = reverse;
    else    // evaluated elsewhere
      graph.reverse_edge[edge] = boundary_ ? n_edges + boundary_->row(pair_[e]) : edge;
    std::copy_n(&vectors_[3 * static_cast<size_t>(e)], 3, &graph.edge_vectors[3 * edge]);
  }
}

/* ---------------------------------------------------------------------- */

double DomainEdgeList::largest_approach(const double *const *x) const
{
  double first = 0.0, second = 0.0;    // squared
  for (size_t i = 0; i < built_at_.size() / 3; i++) {
    const double rsq = moved_sq(x, i);
    if (rsq > first) {
      second = first;
      first = rsq;
    } else {
      second = std::max(second, rsq);
    }
  }
  return std::sqrt(first) + std::sqrt(second);
}

/* ---------------------------------------------------------------------- */

double DomainEdgeList::memory_usage() const
{
  return EdgeList::memory_usage() +
         static_cast<double>(candidates_.capacity() * sizeof(Candidate) +
                             (node_.capacity() + image_of_.capacity() + first_.capacity() +
                              pair_.capacity() + unmatched_.capacity() + depth_.capacity() +
                              row_.capacity()) *
                                 sizeof(int) +
                             (shift_.capacity() + edge_of_.capacity()) * sizeof(int64_t) +
                             vectors_.capacity() * sizeof(double) + is_edge_.capacity() +
                             is_boundary_edge_.capacity());
}

}    // namespace mlip
