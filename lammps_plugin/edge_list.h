// LAMMPS neighbour list -> edges of the local graph.
//
// On one MPI rank every ghost atom is a periodic image of an owned atom, so the graph has the
// owned atoms only and an edge (i, j, s) leads from atom i to the image s of atom j. What depends
// on who is near whom (images, reverse edges, order) is worked out when LAMMPS rebuilds its list;
// each step only measures the candidates and keeps those shorter than the cutoff.

#ifndef MLIP_EDGE_LIST_H
#define MLIP_EDGE_LIST_H

#include "model.h"

#include "lmptype.h"

#include <cstdint>
#include <vector>

namespace LAMMPS_NS {
class Atom;
class Domain;
class NeighList;
}    // namespace LAMMPS_NS

namespace mlip {

class EdgeList {
 public:
  explicit EdgeList(double cutoff) : cutoff_(cutoff) {}

  /// Take over a full neighbour list that LAMMPS has just built. Throws std::runtime_error if the
  /// list lacks neighbours.
  void rebuild(const LAMMPS_NS::NeighList &list, const LAMMPS_NS::Atom &atom,
               const LAMMPS_NS::Domain &domain);

  /// Edges for the present positions of owned and ghost atoms: everything in the graph but the
  /// atomic numbers. Edges come sorted by centre, and an edge vector is exactly minus its reverse.
  void update(const double *const *x, LocalGraph &graph);

  /// Sum of the two largest displacements since the last rebuild. Pairs may be missing from the
  /// candidates once this exceeds the skin.
  double largest_approach(const double *const *x) const;

  double memory_usage() const;

 private:
  struct Candidate {
    int centre;       // owned atom
    int neighbor;     // owned atom
    int image;        // owned or ghost atom whose position is used
    int64_t shift;    // periodic image of the neighbour, packed
    int reverse;      // index of the opposite candidate, -1 if LAMMPS did not list it
  };

  void find_owners(const LAMMPS_NS::Atom &atom, const LAMMPS_NS::Domain &domain);
  void collect_candidates(const LAMMPS_NS::NeighList &list, int n_owned);
  void match_reverse(const double *const *x);

  double cutoff_;
  std::vector<Candidate> candidates_;        // sorted by centre, neighbour, shift
  std::vector<int> first_;                   // (n_owned + 1) first candidate of each centre
  std::vector<int> owner_;                   // (n_owned + n_ghost) the atom this is an image of
  std::vector<int64_t> shift_;               // (n_owned + n_ghost) which image, packed
  std::vector<double> built_at_;             // (n_owned, 3) positions at the last rebuild
  std::vector<double> candidate_vectors_;    // (n_candidates, 3)
  std::vector<int64_t> edge_of_;             // (n_candidates) index of the edge, -1 if too long
};

}    // namespace mlip

#endif
