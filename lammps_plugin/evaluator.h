// Evaluates the model at the present positions: gathers the graph, calls the model, and gives results
// for the atoms of this process, checked and in the frame of the simulation.

#ifndef MLIP_EVALUATOR_H
#define MLIP_EVALUATOR_H

#include "centroid_virials.h"
#include "current_graph.h"
#include "decomposition.h"
#include "disagreement.h"
#include "ghost_rows.h"
#include "last_evaluation.h"
#include "model.h"
#include "owned_results.h"
#include "watch.h"

#include "pointers.h"

#include <cstdint>
#include <vector>

namespace LAMMPS_NS {
class NeighList;
class Pair;
}    // namespace LAMMPS_NS

namespace mlip {

class Agreement;
class ElementMap;
class ModelFile;
class OutputVector;
struct Settings;

/// All but the last few of its functions are called by all processes together. Problems end the simulation.
class Evaluator : protected LAMMPS_NS::Pointers {
 public:
  Evaluator(LAMMPS_NS::LAMMPS *lmp, LAMMPS_NS::Pair &pair, Agreement &processes,
            const Settings &settings, const ModelFile &file, const ElementMap &elements,
            OutputVector &output);

  /// There are new settings: count from zero, and evaluate anew.
  void apply_settings();

  /// There is a new model.
  void use_model();

  /// A run begins. Returns the flags with which LAMMPS has to be asked for a neighbor list.
  int begin_run();

  /// Read the neighbor list anew, even if it seems to be a known one.
  void expect_new_list();

  /// The graph at the present positions; false if no process has an atom in it. The heads may need less of the
  /// surroundings of a domain than the energy.
  bool gather(const LAMMPS_NS::NeighList &list, bool for_non_conservative_only = false);

  /// Energy, conservative forces and virial of the graph; on request the non-conservative heads as well. Arrays of the
  /// result are those of the owned atoms.
  const Evaluation &evaluate(bool with_non_conservative, bool with_atomic_virials);

  /// The non-conservative heads alone.
  const NonConservative &evaluate_non_conservative();

  /// Both kinds of forces for the graph that was gathered: the last evaluation if it was at these positions, else a new
  /// one.
  const Evaluation &both(bool with_atomic_virials);

  /// Both at the present positions, gathering the graph only if they were not evaluated there. Null without atoms.
  const Evaluation *both_here(const LAMMPS_NS::NeighList &list, bool with_atomic_virials);

  /// Energy, conservative forces and virial at the present positions: the last evaluation if it was there. Null without
  /// atoms.
  const Evaluation *conservative_here(const LAMMPS_NS::NeighList &list);

  /// What each owned atom gives to the properties of the structure, at the present positions: one more evaluation.
  /// Null without atoms.
  const PropertyTerms *properties_here(const LAMMPS_NS::NeighList &list);

  /// Give the last evaluation, which was at the present positions, its centroid virials.
  void complete_centroid_virials(const LAMMPS_NS::NeighList &list);

  /// The values of evaluations are also shown for this other sub-style; null for none.
  void show_also_in(OutputVector *other) { other_output_ = other; }

  Disagreement &disagreement() { return disagreement_; }
  GhostRows &rows() { return rows_; }
  const EdgeList &edges() const { return graph_.edges(); }
  const std::vector<int> &owned() const { return graph_.edges().owned(); }

  double memory_usage() const;

 private:
  bool has_both_here(bool with_atomic_virials) const;

  Agreement &processes_;
  const Settings &settings_;
  const ModelFile &file_;
  const ElementMap &elements_;
  OutputVector &output_;
  OutputVector *other_output_ = nullptr;

  GhostRows rows_;
  CurrentGraph graph_;
  Decomposition decomposition_;
  OwnedResults results_;
  CentroidVirials centroid_virials_;
  Watch watch_;
  Disagreement disagreement_;

  LastEvaluation last_;
  PropertyTerms properties_;
  NonConservative direct_;                         // of the last evaluation of the heads alone
  int64_t n_non_conservative_ = 0, n_full_ = 0;    // evaluations since the last pair_style command
};

}    // namespace mlip

#endif
