// The local graph of a simulation at its present positions: what a model is given.

#ifndef MLIP_CURRENT_GRAPH_H
#define MLIP_CURRENT_GRAPH_H

#include "edge_list.h"
#include "exclusions.h"
#include "model.h"
#include "rotation.h"

#include "pointers.h"

#include <memory>
#include <optional>
#include <vector>

namespace mlip {

class ElementMap;
struct Settings;

class CurrentGraph : protected LAMMPS_NS::Pointers {
 public:
  explicit CurrentGraph(LAMMPS_NS::LAMMPS *lmp) : Pointers(lmp), exclusions_(lmp) {}

  /// Make the graph from these edges from now on.
  void use(std::unique_ptr<EdgeList> edges);

  /// Read LAMMPS's neighbor list anew at the next refresh(), even if it seems to be a known one.
  void expect_new_list() { is_stale_ = true; }

  /// To the present positions, with the surroundings that so many layers of a network see. Throws std::runtime_error
  /// if neighbors may be missing.
  void refresh(const LAMMPS_NS::NeighList &list, const ElementMap &elements,
               const Settings &settings, int n_layers);

  const EdgeList &edges() const { return *edges_; }
  const LocalGraph &local() const { return local_; }

  /// (n_edges, 3) edge vectors as in the simulation, which the model may see rotated.
  const std::vector<double> &vectors() const { return rotation_ ? unturned_ : local_.edge_vectors; }

  /// (n_atoms, 3) where the atoms of the graph are, as the model sees them; the origin is amidst the owned atoms.
  std::vector<double> positions() const;

  /// Results for the graph, in the frame of the simulation.
  void turn_back(Evaluation &full) const;
  void turn_back(NonConservative &direct) const;
  void turn_back_tensors(std::vector<double> &tensors) const;

  double memory_usage() const;

 private:
  bool has_new_list() const;
  void rebuild(const LAMMPS_NS::NeighList &list, const ElementMap &elements);

  Exclusions exclusions_;
  std::unique_ptr<EdgeList> edges_;
  LocalGraph local_;
  std::optional<Rotation> rotation_;
  std::vector<double> unturned_;
  bool is_stale_ = true;
  LAMMPS_NS::bigint seen_ncalls_ = -1, seen_lastcall_ = -1;    // identify a build of the list
};

}    // namespace mlip

#endif
