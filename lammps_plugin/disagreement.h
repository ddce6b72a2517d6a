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

struct ModelInfo;

class Disagreement : protected LAMMPS_NS::Pointers {
 public:
  Disagreement(LAMMPS_NS::LAMMPS *lmp, const Agreement &processes) :
      Pointers(lmp), processes_(processes)
  {
  }

  /// What to do, and beyond which limit.
  void set(const Settings &settings);
  /// Where no limit was given, that of the model is taken.
  void use_model(const ModelInfo &info);
  bool is_watched() const { return action_ != OnDisagreement::IGNORE; }

  /// A run begins: it may warn once. Ends with an error if there is a limit to be watched and nothing says which.
  void begin_run();

  /// Show it for the owned atoms that the evaluation belongs to, in total and for each element, and compare it with the
  /// limit. Called by all processes.
  void measure(const Evaluation &full, const std::vector<int> &owned, const ElementMap &elements,
               OutputVector &output);

  /// Between two steps: if the limit was passed, write a restart file and stop.
  void stop_if_unsure();

 private:
  double limit() const { return limit_ > 0.0 ? limit_ : limit_of_model_; }
  void judge(double difference, int worst);

  const Agreement &processes_;
  OnDisagreement action_ = OnDisagreement::IGNORE;
  double limit_ = 0.0;             // eV/A; 0 if none was given
  double limit_of_model_ = 0.0;    // 0 if the file does not say
  bool has_warned_ = false;
  std::string unsure_;    // why to stop at the end of this step
};

/// |C - NC| of atom k of the evaluation, squared, in (eV/A)^2 whatever the units of the simulation.
double disagreement_sq(const Evaluation &full, size_t k);

}    // namespace mlip

#endif
