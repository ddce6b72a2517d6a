// Edges on one MPI process, where every ghost atom is a periodic image of an owned atom: the graph
// has owned atoms only (those whose type has an element), and an edge (i, j, s) leads from atom i to
// the image s of atom j.

#ifndef MLIP_PERIODIC_EDGE_LIST_H
#define MLIP_PERIODIC_EDGE_LIST_H

#include "edge_list.h"

namespace mlip {

class PeriodicEdgeList : public EdgeList {
 public:
  using EdgeList::EdgeList;

  void rebuild(const LAMMPS_NS::NeighList &list, const LAMMPS_NS::Atom &atom,
               const LAMMPS_NS::Domain &domain,
               const std::vector<int64_t> &number_of_type) override;
  void update(const double *const *x, int n_layers, LocalGraph &graph) override;
  double largest_approach(const double *const *x) const override;
  double memory_usage() const override;

 private:
  struct Candidate {
    int centre;       // atom of the graph
    int neighbor;     // atom of the graph
    int origin;       // owned atom that is the centre
    int image;        // owned or ghost atom whose position is used
    int64_t shift;    // periodic image of the neighbour, packed
    int reverse;      // index of the opposite candidate, -1 if LAMMPS did not list it
  };

  void find_owners(const LAMMPS_NS::Atom &atom, const LAMMPS_NS::Domain &domain);
  void collect_candidates(const LAMMPS_NS::NeighList &list);
  void match_reverse(const double *const *x);

  std::vector<Candidate> candidates_;    // sorted by centre, neighbour, shift
  std::vector<int> first_;               // (n_atoms + 1) first candidate of each centre
  std::vector<int> owner_;               // (n_owned + n_ghost) the atom this is an image of
  std::vector<int64_t> shift_;           // (n_owned + n_ghost) which image, packed
  size_t n_owned_ = 0;
  std::vector<double> candidate_vectors_;    // (n_candidates, 3)
  std::vector<int64_t> edge_of_;             // (n_candidates) index of the edge, -1 if too long
};

}    // namespace mlip

#endif
