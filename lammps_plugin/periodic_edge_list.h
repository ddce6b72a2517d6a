// Edges on one MPI process, where every ghost atom is a periodic image of an owned atom: the graph
// has owned atoms only (those whose type has an element), and an edge (i, j, s) leads from atom i to
// the image s of atom j.

#ifndef MLIP_PERIODIC_EDGE_LIST_H
#define MLIP_PERIODIC_EDGE_LIST_H

#include "candidate_pairs.h"
#include "edge_list.h"

namespace mlip {

class PeriodicEdgeList : public EdgeList {
 public:
  using EdgeList::EdgeList;

  void rebuild(const LAMMPS_NS::NeighList &list, const LAMMPS_NS::Atom &atom,
               const LAMMPS_NS::Domain &domain, const std::vector<int64_t> &numbers) override;
  void update(const double *const *x, int n_layers, LocalGraph &graph) override;
  double largest_approach(const double *const *x) const override;
  double memory_usage() const override;

 private:
  void find_owners(const LAMMPS_NS::Atom &atom, const LAMMPS_NS::Domain &domain);
  void collect_candidates(const LAMMPS_NS::NeighList &list);
  void check_directions(const double *const *x) const;

  CandidatePairs pairs_;          // whose nodes are the atoms of the graph
  std::vector<int> owner_;        // (n_owned + n_ghost) the atom this is an image of
  std::vector<int64_t> shift_;    // (n_owned + n_ghost) which image, packed
  size_t n_owned_ = 0;
  std::vector<int64_t> edge_of_;    // (n_candidates) index of the edge, -1 if too long
};

}    // namespace mlip

#endif
