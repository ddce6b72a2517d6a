// Pairs of atoms that may be edges until LAMMPS builds its next neighbor list: those within the cutoff
// plus the skin.

#ifndef MLIP_CANDIDATE_PAIRS_H
#define MLIP_CANDIDATE_PAIRS_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mlip {

// A node is an atom that may come into the graph.
struct Candidate {
  int centre;           // node
  int neighbor;         // node
  int64_t shift;        // image of the neighbour, relative to that of the centre, packed
  int origin, image;    // owned or ghost atoms of LAMMPS whose positions are used
  int reverse = -1;     // index of the opposite candidate, -1 if there is none
};

class CandidatePairs {
 public:
  void clear() { candidates_.clear(); }
  void add(const Candidate &candidate) { candidates_.push_back(candidate); }

  /// All are added: sort them by centre, neighbour and shift, keep each once, and find the reverse of each: that of
  /// (i, j, s) is (j, i, -s).
  void arrange(size_t n_nodes);

  int size() const { return static_cast<int>(candidates_.size()); }
  const Candidate &operator[](int e) const { return candidates_[e]; }

  /// Index of the first candidate of a centre; that of the node behind the last one is size().
  int first(int centre) const { return first_[centre]; }

  /// At the present positions: what copy_vector() and is_edge() tell. A pair without reverse is no edge.
  void measure(const double *const *x, double cutoff);

  /// (3) from centre to neighbour, exactly minus that of the reverse.
  void copy_vector(int e, double *to) const
  {
    const int reverse = candidates_[e].reverse;
    const double sign = e < reverse ? 1.0 : -1.0;
    const double *from = &vectors_[3 * static_cast<size_t>(e < reverse ? e : reverse)];
    for (int k = 0; k < 3; k++) to[k] = sign * from[k];
  }

  bool is_edge(int e) const { return is_edge_[e]; }
  void set_edge(int e, bool value) { is_edge_[e] = value; }

  double memory_usage() const;

 private:
  int find(int centre, int neighbor, int64_t shift) const;

  std::vector<Candidate> candidates_;
  std::vector<int> first_;         // (n_nodes + 1)
  std::vector<double> vectors_;    // (n_candidates, 3) of the first one of each pair only
  std::vector<char> is_edge_;      // (n_candidates)
};

}    // namespace mlip

#endif
