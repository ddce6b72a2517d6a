// Edges between atoms of two processes, where each process evaluates the edges of its own atoms: the
// owner of i has edge ij, the owner of j its reverse, and a network may need both.
//
// Once for a neighbor list the two agree on the pairs that both have near and on an order of them,
// then in each step on those that are edges. Rounding may tell them different things at the cutoff
// or at the end of the skin: what only one of them sees does not count. Rows of numbers, one for each
// edge, then go from edges to reverse edges without a word about which is which.

#ifndef MLIP_BOUNDARY_EDGES_H
#define MLIP_BOUNDARY_EDGES_H

#include "lmptype.h"

#include <mpi.h>

#include <cstdint>
#include <vector>

namespace LAMMPS_NS {
class Atom;
class LAMMPS;
}    // namespace LAMMPS_NS

namespace mlip {

class Agreement;
class GhostRows;

class BoundaryEdges {
 public:
  /// An owned atom and an image of one that another process owns.
  struct Pair {
    int process;    // the other one
    LAMMPS_NS::tagint own_id, other_id;
    int64_t shift;    // of the image, relative to where its owner has the atom, packed
    int candidate;    // whatever the caller knows the pair by
  };

  /// Where its owner has an atom.
  struct Home {
    int process;
    double x[3];
  };

  BoundaryEdges(LAMMPS_NS::LAMMPS *lmp, Agreement &agreement, GhostRows &rows);

  // learn_homes, match, settle and swap are called by all processes, and throw what another one has failed with

  /// After a build of the neighbor list: each ghost learns which process owns it and where it is there, so that two
  /// processes can speak of the same pair.
  void learn_homes(const LAMMPS_NS::Atom &atom);
  const Home &home(int atom) const { return homes_[atom]; }

  /// After a build of the neighbor list: the pairs that both processes have are kept, in the order in
  /// which the other functions know them. Returns the others.
  std::vector<Pair> match(std::vector<Pair> pairs);
  const std::vector<Pair> &pairs() const { return pairs_; }

  /// In each step: which pairs are edges, (n_pairs), for this process, then for both.
  void settle(std::vector<char> &is_edge);

  /// The row of a pair that is an edge, and their number.
  int64_t row(int pair) const { return row_[pair]; }
  int64_t n_rows() const { return n_rows_; }

  /// Rows (n_rows, width) for the reverse edges here, of those rows that other processes have for
  /// them. Its own adjoint, as what came back would be what was given.
  void swap(const float *rows, float *reverse, int64_t width) const;
  void swap(const double *rows, double *reverse, int64_t width) const;

  double memory_usage() const;

 private:
  struct Partner {
    int process;
    int first_pair, n_pairs;
    int64_t first_row;
    int n_rows;
  };

  void find_partners();
  void number_rows(const std::vector<char> &is_edge);
  template <typename Send, typename Receive>
  void with_partners(Send &&send, Receive &&receive) const;
  template <typename Scalar>
  void swap_rows(const Scalar *rows, Scalar *reverse, int64_t width, MPI_Datatype number) const;

  LAMMPS_NS::LAMMPS *lmp_;
  Agreement &agreement_;
  GhostRows &rows_;
  int me_ = 0;
  std::vector<Home> homes_;    // (n_owned + n_ghost)
  std::vector<Pair> pairs_;
  std::vector<Partner> partners_;
  std::vector<int64_t> row_;    // (n_pairs) -1 for those that are no edge
  int64_t n_rows_ = 0;
};

}    // namespace mlip

#endif
