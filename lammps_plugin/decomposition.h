// Who evaluates which atom, if a simulation runs on several processes: each process its own atoms and
// those of others that its own depend on (a halo), or its own only (an exchange of features).

#ifndef MLIP_DECOMPOSITION_H
#define MLIP_DECOMPOSITION_H

#include "settings.h"

#include "pointers.h"

#include <memory>
#include <optional>
#include <string>

namespace mlip {

class Agreement;
class BoundaryEdges;
class CurrentGraph;
class FeatureExchange;
class GhostRows;
class ModelFile;
struct ModelInfo;

class Decomposition : protected LAMMPS_NS::Pointers {
 public:
  Decomposition(LAMMPS_NS::LAMMPS *lmp, CurrentGraph &graph, GhostRows &rows, Agreement &processes);
  ~Decomposition() override;
  Decomposition(const Decomposition &) = delete;
  Decomposition &operator=(const Decomposition &) = delete;

  /// A new model: the graph takes its edges from LAMMPS as for a halo, until a run begins.
  void start_over(const ModelInfo &info);

  /// A run begins: choose halo or exchange, tell the graph and the log if that changes, and let LAMMPS have the ghosts
  /// that are needed; those of the whole interaction range if a graph is `unfolded`, whatever is chosen. Returns whether
  /// it has changed.
  bool begin_run(const ModelFile &file, Parallel wanted, bool unfolded);

  /// Whether LAMMPS has to list the neighbors of ghosts as well.
  bool needs_neighbors_of_ghosts(const ModelInfo &info) const;

  /// For the model; null unless features are exchanged.
  FeatureExchange *exchange() const { return exchange_.get(); }

  /// Once in a run, with the first graph: a line in the log on what a process evaluates, and what it holds.
  void tell_graph();

  double memory_usage() const;

 private:
  bool choose_exchange(const ModelFile &file, Parallel wanted);
  void extend_ghosts(const ModelInfo &info, bool unfolded) const;
  double estimate_halo(const ModelInfo &info) const;

  CurrentGraph &graph_;
  GhostRows &rows_;
  Agreement &processes_;
  std::unique_ptr<FeatureExchange> exchange_;
  std::unique_ptr<BoundaryEdges> boundary_;    // with an exchange by edges
  std::optional<bool> announced_exchange_;
  bool has_told_graph_ = false;
};

}    // namespace mlip

#endif
