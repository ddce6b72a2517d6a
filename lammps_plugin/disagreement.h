// The disagreement |C - NC| of the two kinds of forces on an atom: it is large where the model has
// learnt little, and on request a run stops there.

#ifndef MLIP_DISAGREEMENT_H
#define MLIP_DISAGREEMENT_H

#include "settings.h"

#include "pointers.h"

#include <string>
#include <vector>

namespace mlip {

class Agreement;
class ElementMap;
class OutputVector;
struct Evaluation;

class Disagreement : protected LAMMPS_NS::Pointers {
 public:
  Disagreement(LAMMPS_NS::LAMMPS *lmp, const Agreement &processes) :
      Pointers(lmp), processes_(processes)
  {
  }

  /// What to do, and beyond which limit.
  void set(const Settings &settings);
  bool is_watched() const { return action_ != OnDisagreement::IGNORE; }

  /// A run begins: it may warn once.
  void begin_run() { has_warned_ = false; }

  /// Show it for the owned atoms that the evaluation belongs to, in total and for each element, and compare it with the
  /// limit. Called by all processes.
  void measure(const Evaluation &full, const std::vector<int> &owned, const ElementMap &elements,
               OutputVector &output);

  /// Between two steps: if the limit was passed, write a restart file and stop.
  void stop_if_unsure();

 private:
  void judge(double difference, int worst);

  const Agreement &processes_;
  OnDisagreement action_ = OnDisagreement::IGNORE;
  double limit_ = 0.0;    // eV/A
  bool has_warned_ = false;
  std::string unsure_;    // why to stop at the end of this step
};

/// |C - NC| of atom k of the evaluation, squared, in (eV/A)^2 whatever the units of the simulation.
double disagreement_sq(const Evaluation &full, size_t k);

}    // namespace mlip

#endif
