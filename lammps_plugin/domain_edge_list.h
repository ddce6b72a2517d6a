// Edges on one of several MPI processes: the part of the periodic graph of all atoms that the
// energies of the owned atoms depend on.
//
// An energy depends on atoms up to n_layers edges away. Those up to n_layers - 1 edges away are
// centres with all their edges, the last shell only has the reverses of edges that lead to it. An
// atom occurs once, however many of its images are near: the graph is no larger than that of all
// atoms, and ghosts that are images of owned atoms cost nothing.
//
// Where features of atoms of others come from their owners, owned atoms are the only centres. The
// edges that lead to others have no reverse here then: either nobody asks for it, or rows for it come
// from the owner as well (boundary_edges.h).
//
// Between its owned atoms and those of others the graph has one more atom without neighbours, the
// probe. By the contract it feels no non-conservative force, so what a model returns for it is what
// was subtracted from the forces of this process to remove the net one.

#ifndef MLIP_DOMAIN_EDGE_LIST_H
#define MLIP_DOMAIN_EDGE_LIST_H

#include "candidate_pairs.h"
#include "edge_list.h"

namespace mlip {

class BoundaryEdges;

class DomainEdgeList : public EdgeList {
 public:
  /// For networks of at most so many layers, which evaluate all atoms of their graph or the owned ones only;
  /// with owned ones only, `boundary`, if there is one, is told of the edges to others.
  DomainEdgeList(double cutoff, int n_layers, bool owned_only, BoundaryEdges *boundary = nullptr) :
      EdgeList(cutoff), n_layers_(owned_only ? 1 : n_layers), owned_only_(owned_only),
      boundary_(boundary)
  {
  }

  void rebuild(const LAMMPS_NS::NeighList &list, const LAMMPS_NS::Atom &atom,
               const LAMMPS_NS::Domain &domain, const std::vector<int64_t> &numbers) override;
  void update(const double *const *x, int n_layers, LocalGraph &graph) override;
  double largest_approach(const double *const *x) const override;
  double memory_usage() const override;

 protected:
  /// Owned and ghost atoms with the same ID are images of one node.
  virtual void find_nodes(const LAMMPS_NS::Atom &atom, const LAMMPS_NS::Domain &domain,
                          const std::vector<int64_t> &numbers);

  std::vector<int> node_;         // (n_owned + n_ghost) -1 if outside
  std::vector<int64_t> shift_;    // (n_owned + n_ghost) which image of the node, packed
  std::vector<int> image_of_;     // (n_nodes) an image of the node, the owned atom if it is

 private:
  void collect_candidates(const LAMMPS_NS::NeighList &list);
  void add_pairs_of(int image, const LAMMPS_NS::NeighList &list);
  void match_boundary(const LAMMPS_NS::Atom &atom, const LAMMPS_NS::Domain &domain);
  void settle_boundary();
  void find_depths(int n_layers);

  int n_layers_;
  bool owned_only_;
  BoundaryEdges *boundary_;
  CandidatePairs pairs_;                  // whose nodes are the owned atoms, then those of others
  std::vector<int> pair_;                 // (n_candidates) of the boundary, or -1
  std::vector<int> unmatched_;            // candidates that only this process has
  std::vector<char> is_boundary_edge_;    // (n_pairs of the boundary)
  std::vector<int> depth_;                // (n_nodes) edges away from the owned atoms, or -1
  std::vector<int> row_;                  // (n_nodes) atom of the graph
  std::vector<int64_t> edge_of_;          // (n_candidates) index of the edge, -1 if there is none
};

}    // namespace mlip

#endif
