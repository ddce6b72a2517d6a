#include "domain_edge_list.h"

#include "boundary_edges.h"

#include "atom.h"
#include "domain.h"
#include "neigh_list.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <unordered_map>

using namespace LAMMPS_NS;

namespace mlip {

/* ---------------------------------------------------------------------- */

void DomainEdgeList::rebuild(const NeighList &list, const Atom &atom, const Domain &domain,
                             const std::vector<int64_t> &numbers)
{
  choose_atoms(list, atom, numbers);
  find_nodes(atom, domain, numbers);
  collect_candidates(list);
  edge_of_.resize(pairs_.size());
  remember_positions(atom);
  if (boundary_) match_boundary(atom, domain);
}

/* ---------------------------------------------------------------------- */

void DomainEdgeList::find_nodes(const Atom &atom, const Domain &domain,
                                const std::vector<int64_t> &numbers)
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
    if (numbers[g] == 0) continue;
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
  pairs_.clear();
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
  pairs_.arrange(image_of_.size());
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
    pairs_.add({node_[i], node_[j], shift, i, j});
    pairs_.add({node_[j], node_[i], -shift, j, i});
  }
}

/* ----------------------------------------------------------------------
   the pairs of an owned atom and one of others, by what the other process can tell as well
------------------------------------------------------------------------- */

void DomainEdgeList::match_boundary(const Atom &atom, const Domain &domain)
{
  boundary_->learn_homes(atom);
  const int n_owned = static_cast<int>(owned_.size());
  std::vector<BoundaryEdges::Pair> shared;
  for (int e = 0; e < pairs_.first(n_owned); e++) {
    const Candidate &candidate = pairs_[e];
    if (candidate.neighbor < n_owned) continue;
    const int image = image_of_[candidate.neighbor];
    const auto &home = boundary_->home(image);
    const int64_t shift = candidate.shift + shift_between(home.x, atom.x[image], domain);
    shared.push_back(
        {home.process, atom.tag[image_of_[candidate.centre]], atom.tag[image], shift, e});
  }
  const auto alone = boundary_->match(std::move(shared));

  unmatched_.clear();
  for (const auto &pair : alone) {
    const Candidate &candidate = pairs_[pair.candidate];
    unmatched_.push_back(pair.candidate);
    if (const auto distance = one_way_edge(atom.x, candidate.origin, candidate.image))
      throw std::runtime_error("atoms " + std::to_string(pair.own_id) + " and " +
                               std::to_string(pair.other_id) + " are neighbors at " +
                               std::to_string(*distance) +
                               " Angstrom for the process of the first and not for that of the "
                               "second; the model needs both. Use parallel halo");
  }
  pair_.assign(pairs_.size(), -1);
  const auto &matched = boundary_->pairs();
  for (size_t p = 0; p < matched.size(); p++) pair_[matched[p].candidate] = static_cast<int>(p);
  is_boundary_edge_.resize(matched.size());
}

/* ----------------------------------------------------------------------
   an edge between two processes is one for both: at the cutoff, rounding may differ
------------------------------------------------------------------------- */

void DomainEdgeList::settle_boundary()
{
  const auto &shared = boundary_->pairs();
  for (size_t p = 0; p < shared.size(); p++)
    is_boundary_edge_[p] = pairs_.is_edge(shared[p].candidate);
  boundary_->settle(is_boundary_edge_);
  for (size_t p = 0; p < shared.size(); p++)
    pairs_.set_edge(shared[p].candidate, is_boundary_edge_[p]);
  for (const int e : unmatched_) pairs_.set_edge(e, false);
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
      for (int e = pairs_.first(node); e < pairs_.first(node + 1); e++) {
        const int neighbor = pairs_[e].neighbor;
        if (!pairs_.is_edge(e) || depth_[neighbor] >= 0) continue;
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
  pairs_.measure(x, cutoff_);
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
  const int n_candidates = pairs_.size();
  int64_t n_edges = 0;
  for (int e = 0; e < n_candidates; e++) {
    const Candidate &candidate = pairs_[e];
    const bool is_used = pairs_.is_edge(e) && (is_centre(candidate.centre) ||
                                               (!owned_only_ && is_centre(candidate.neighbor)));
    edge_of_[e] = is_used ? n_edges++ : -1;
  }
  graph.edge_index.resize(2 * n_edges);
  graph.edge_vectors.resize(3 * n_edges);
  graph.reverse_edge.resize(n_edges);
  for (int e = 0; e < n_candidates; e++) {
    const int64_t edge = edge_of_[e];
    if (edge < 0) continue;
    graph.edge_index[edge] = row_[pairs_[e].centre];
    graph.edge_index[n_edges + edge] = row_[pairs_[e].neighbor];
    const int64_t reverse = edge_of_[pairs_[e].reverse];
    if (reverse >= 0)
      graph.reverse_edge[edge] = reverse;
    else    // evaluated elsewhere
      graph.reverse_edge[edge] = boundary_ ? n_edges + boundary_->row(pair_[e]) : edge;
    pairs_.copy_vector(e, &graph.edge_vectors[3 * edge]);
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
  return EdgeList::memory_usage() + pairs_.memory_usage() +
         static_cast<double>((node_.capacity() + image_of_.capacity() + pair_.capacity() +
                              unmatched_.capacity() + depth_.capacity() + row_.capacity()) *
                                 sizeof(int) +
                             (shift_.capacity() + edge_of_.capacity()) * sizeof(int64_t) +
                             is_boundary_edge_.capacity());
}

}    // namespace mlip
