// LAMMPS neighbour list -> edges of the local graph.
//
// On one MPI rank every ghost atom is a periodic image of an owned atom, so the graph has owned
// atoms only (those whose type has an element) and an edge (i, j, s) leads from atom i to the image
// s of atom j. What depends on who is near whom (images, reverse edges, order) is worked out when
// LAMMPS rebuilds its list; each step only measures the candidates and keeps those shorter than
// the cutoff.

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

  /// Take over a full neighbour list that LAMMPS has just built. Atoms whose entry in
  /// `number_of_type` (n_types + 1) is 0 stay outside. Throws std::runtime_error if the list lacks
  /// neighbours.
  void rebuild(const LAMMPS_NS::NeighList &list, const LAMMPS_NS::Atom &atom,
               const LAMMPS_NS::Domain &domain, const std::vector<int64_t> &number_of_type);

  /// Edges for the present positions of owned and ghost atoms: everything in the graph but the
  /// atomic numbers. Edges come sorted by centre, and an edge vector is exactly minus its reverse.
  void update(const double *const *x, LocalGraph &graph);

  /// (n_atoms) the owned atom that each atom of the graph is.
  const std::vector<int> &atoms() const { return atoms_; }

  /// Upper bound for how much closer any two atoms have come since the last rebuild, moved by
  /// themselves or with the box: pairs may be missing once this exceeds the skin.
  double largest_approach(const double *const *x) const;

  double memory_usage() const;

 private:
  struct Candidate {
    int centre;       // atom of the graph
    int neighbor;     // atom of the graph
    int origin;       // owned atom that is the centre
    int image;        // owned or ghost atom whose position is used
    int64_t shift;    // periodic image of the neighbour, packed
    int reverse;      // index of the opposite candidate, -1 if LAMMPS did not list it
  };

  void choose_atoms(const LAMMPS_NS::NeighList &list, const LAMMPS_NS::Atom &atom,
                    const std::vector<int64_t> &number_of_type);
  void find_owners(const LAMMPS_NS::Atom &atom, const LAMMPS_NS::Domain &domain);
  void collect_candidates(const LAMMPS_NS::NeighList &list);
  void match_reverse(const double *const *x);

  double cutoff_;
  std::vector<Candidate> candidates_;    // sorted by centre, neighbour, shift
  std::vector<int> first_;               // (n_atoms + 1) first candidate of each centre
  std::vector<int> atoms_;               // (n_atoms) owned atom of each atom of the graph
  std::vector<int> index_;               // (n_owned) atom of the graph, -1 if outside
  std::vector<int> owner_;               // (n_owned + n_ghost) the atom this is an image of
  std::vector<int64_t> shift_;           // (n_owned + n_ghost) which image, packed
  size_t n_owned_ = 0;
  std::vector<double> built_at_;             // (n_owned + n_ghost, 3) positions at the last rebuild
  std::vector<double> candidate_vectors_;    // (n_candidates, 3)
  std::vector<int64_t> edge_of_;             // (n_candidates) index of the edge, -1 if too long
};

}    // namespace mlip

#endif
