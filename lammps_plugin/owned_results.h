// From what a model gives for the local graph of a process to results of the atoms that the process
// owns: parts that it has evaluated for atoms of others go to their owners.

#ifndef MLIP_OWNED_RESULTS_H
#define MLIP_OWNED_RESULTS_H

#include "pointers.h"

#include <vector>

namespace mlip {

class CurrentGraph;
class GhostRows;
struct Evaluation;
struct NonConservative;

/// On one process reduce() has nothing to do. All processes call its functions together.
class OwnedResults : protected LAMMPS_NS::Pointers {
 public:
  OwnedResults(LAMMPS_NS::LAMMPS *lmp, const CurrentGraph &graph, GhostRows &rows) :
      Pointers(lmp), graph_(graph), rows_(rows)
  {
  }

  /// Arrays (n_atoms, ...) of the graph become arrays (n_owned, ...). Energies of others are counted by their owners;
  /// forces and virials are sums over all processes.
  void reduce(Evaluation &full);
  void reduce(NonConservative &direct);

  /// Values (n_atoms, width) of the graph to sums (n_owned, width), on one process as well: an unfolded graph has
  /// images of its atoms. Empty ones were not asked for.
  void add_from_ghosts(std::vector<double> &values, int width);

 private:
  void remove_net_force(std::vector<double> &forces) const;

  const CurrentGraph &graph_;
  GhostRows &rows_;
};

}    // namespace mlip

#endif
