// LAMMPS neighbour list -> edges of the local graph.
//
// What depends on who is near whom (images, reverse edges, order) is worked out when LAMMPS
// rebuilds its list; each step only measures the candidates and keeps those shorter than the
// cutoff. On one process all atoms are its own (periodic_edge_list.h), on several the graph also
// has atoms of others (domain_edge_list.h).

#ifndef MLIP_EDGE_LIST_H
#define MLIP_EDGE_LIST_H

#include "model.h"

#include "lmptype.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace LAMMPS_NS {
class Atom;
class Domain;
class NeighList;
}    // namespace LAMMPS_NS

namespace mlip {

// A shift is three small integers; packed into one, they sort, compare and change sign together.
inline int64_t pack_shift(int64_t a, int64_t b, int64_t c)
{
  constexpr int64_t BASE = int64_t(1) << 20;
  return (a * BASE + b) * BASE + c;
}

class EdgeList {
 public:
  explicit EdgeList(double cutoff) : cutoff_(cutoff) {}
  virtual ~EdgeList() = default;

  /// Take over a full neighbour list that LAMMPS has just built. Atoms whose entry in `numbers`
  /// (n_owned + n_ghost) is 0 stay outside. Throws std::runtime_error if the list lacks neighbours.
  virtual void rebuild(const LAMMPS_NS::NeighList &list, const LAMMPS_NS::Atom &atom,
                       const LAMMPS_NS::Domain &domain, const std::vector<int64_t> &numbers) = 0;

  /// The graph at the present positions of owned and ghost atoms, all but the atomic numbers, for a
  /// network of so many layers. Edges come sorted by centre, and an edge vector is exactly minus
  /// its reverse.
  virtual void update(const double *const *x, int n_layers, LocalGraph &graph) = 0;

  /// The atoms of this process that are in the graph, as its first ones: indices in LAMMPS.
  const std::vector<int> &owned() const { return owned_; }

  /// The atoms of other processes, as its last ones: an image of each among the ghosts of LAMMPS.
  const std::vector<int> &others() const { return others_; }

  /// Upper bound for how much closer any two atoms have come since the last rebuild, moved by
  /// themselves or with the box: pairs may be missing once this exceeds the skin.
  virtual double largest_approach(const double *const *x) const = 0;

  virtual double memory_usage() const;

 protected:
  /// The owned atoms that have a number; LAMMPS must have listed the neighbours of each.
  void choose_atoms(const LAMMPS_NS::NeighList &list, const LAMMPS_NS::Atom &atom,
                    const std::vector<int64_t> &numbers);

  void remember_positions(const LAMMPS_NS::Atom &atom);

  /// By how much an owned or ghost atom has moved since the last rebuild, squared.
  double moved_sq(const double *const *x, size_t i) const;

  /// Of a pair that is known in one direction only: its distance, if it is an edge, which needs both. At the very end of
  /// the skin, rounding may tell two directions or two processes different things; such a pair is no edge.
  std::optional<double> one_way_edge(const double *const *x, int origin, int image) const;

  double cutoff_;
  std::vector<int> owned_, others_;
  std::vector<int> index_;          // (n_owned) atom of the graph, -1 if outside
  std::vector<double> built_at_;    // (n_owned + n_ghost, 3) positions at the last rebuild
};

/// The lattice translation, packed, that takes an atom of LAMMPS to one of its images.
int64_t shift_between(const double *atom, const double *image, const LAMMPS_NS::Domain &domain);

/// Owned atoms by ID, for finding them. Throws std::runtime_error if an ID occurs twice.
class OwnedAtoms {
 public:
  explicit OwnedAtoms(const LAMMPS_NS::Atom &atom);

  /// The index of the owned atom with this ID, -1 if it belongs to another process.
  int find(LAMMPS_NS::tagint tag) const;

 private:
  std::vector<std::pair<LAMMPS_NS::tagint, int>> index_of_tag_;    // sorted
};

}    // namespace mlip

#endif
