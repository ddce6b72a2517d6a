// Per-atom virials for the heat flux of models of several layers: what compute centroid/stress/atom
// shows. Such a model is evaluated once more, on an unfolded graph, in the steps that ask for them.

#ifndef MLIP_CENTROID_VIRIALS_H
#define MLIP_CENTROID_VIRIALS_H

#include "current_graph.h"
#include "owned_results.h"

#include "pointers.h"

#include <vector>

namespace LAMMPS_NS {
class NeighList;
}

namespace mlip {

class Agreement;
class ElementMap;
class GhostRows;
class ModelFile;
struct Settings;

class CentroidVirials : protected LAMMPS_NS::Pointers {
 public:
  CentroidVirials(LAMMPS_NS::LAMMPS *lmp, GhostRows &rows, Agreement &processes,
                  const Settings &settings, const ModelFile &file, const ElementMap &elements);

  /// There is a new model.
  void use_model();

  /// A run begins: does a compute ask for them?
  void begin_run();

  /// Whether ghosts and their neighbors are needed in the whole interaction range.
  bool are_wanted() const { return are_wanted_; }

  void expect_new_list() { graph_.expect_new_list(); }

  /// At the present positions, (n_owned, 3, 3). Called by all processes. Problems end the simulation.
  void evaluate(const LAMMPS_NS::NeighList &list, std::vector<double> &virials);

  double memory_usage() const { return graph_.memory_usage(); }

 private:
  Agreement &processes_;
  const Settings &settings_;
  const ModelFile &file_;
  const ElementMap &elements_;
  CurrentGraph graph_;
  OwnedResults results_;
  bool are_wanted_ = false;
};

}    // namespace mlip

#endif
