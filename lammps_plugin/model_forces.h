// The forces of one model on the atoms of a simulation: all at once, as in Verlet, or in the two levels
// of r-RESPA. The inner level applies the non-conservative forces NC, the outer level the correction
// C - NC to the conservative forces C, both from one evaluation where they meet.

#ifndef MLIP_MODEL_FORCES_H
#define MLIP_MODEL_FORCES_H

#include "evaluator.h"
#include "respa_cycle.h"
#include "skin_guard.h"
#include "tally.h"

#include "pair.h"
#include "pointers.h"

#include <string>

namespace LAMMPS_NS {
class PairMLIP;
}    // namespace LAMMPS_NS

namespace mlip {

/// Forces are added to those of the atoms. Energy and virial are added to those of a pair style, `to`, as far as it is
/// asked for them in this step.
class ModelForces : protected LAMMPS_NS::Pointers {
 public:
  ModelForces(LAMMPS_NS::LAMMPS *lmp, LAMMPS_NS::Pair &pair, Agreement &processes,
              const Settings &settings, const ModelFile &file, const ElementMap &elements,
              OutputVector &output, const std::string &fix_id);

  /// A run of this pair style begins. Returns the flags with which LAMMPS has to be asked for a neighbor list.
  int begin_run(LAMMPS_NS::PairMLIP &pair);

  // everything times `scale`
  void add_conservative(LAMMPS_NS::Pair &to, double scale);
  void add_non_conservative(LAMMPS_NS::Pair &to, double scale);

  /// The level of NC. Whether an outer call follows at the same positions, the cycle tells.
  void add_inner(bool with_atomic_virials, double scale);

  /// The level of C - NC, with energy and virial of C.
  void add_correction(LAMMPS_NS::Pair &to, double scale);

  /// |C - NC| of each owned atom at the present positions, in eV/A; 0 for atoms without an element.
  void disagreement_of_atoms(double *values);

  /// Energy, conservative forces and virial at the present positions; null without atoms.
  const Evaluation *conservative_here() { return evaluator_.conservative_here(*pair_.list); }

  /// What each owned atom gives to the properties of the structure at the present positions; null without atoms.
  const PropertyTerms *properties_here() { return evaluator_.properties_here(*pair_.list); }

  Tally &tally() { return tally_; }
  Evaluator &evaluator() { return evaluator_; }
  SkinGuard &skin_guard() { return skin_guard_; }
  const RespaCycle &cycle() const { return cycle_; }

 private:
  int inner_steps_of_integrator() const;
  void tally_energy_and_virial(LAMMPS_NS::Pair &to, const Evaluation &full, double scale);

  LAMMPS_NS::Pair &pair_;    // whose neighbor list it is
  const Agreement &processes_;
  const Settings &settings_;
  const ModelFile &file_;
  Evaluator evaluator_;
  Tally tally_;
  RespaCycle cycle_;
  SkinGuard skin_guard_;
};

}    // namespace mlip

#endif
