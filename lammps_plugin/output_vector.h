// The vector that `compute ID all pair mlip` shows: numbers of evaluations and the disagreement of
// the two kinds of forces.

#ifndef MLIP_OUTPUT_VECTOR_H
#define MLIP_OUTPUT_VECTOR_H

#include "elements.h"

#include <array>

namespace LAMMPS_NS {
class Pair;
}

namespace mlip {

class OutputVector {
 public:
  /// What the entries are; those of the elements follow, one for each.
  enum Entry { N_NON_CONSERVATIVE, N_FULL, RMS_DISAGREEMENT, MAX_DISAGREEMENT, N_FIXED };

  /// The value of a disagreement before any evaluation of both kinds of forces.
  static constexpr double NOT_EVALUATED = -1.0;

  /// Becomes the vector of this style. LAMMPS sums it over the processes, so only one of them shows values.
  OutputVector(LAMMPS_NS::Pair &pair, bool shows_values);
  OutputVector(const OutputVector &) = delete;
  OutputVector &operator=(const OutputVector &) = delete;

  void set_elements(int n_elements);

  /// No evaluations, no disagreement.
  void clear();
  void clear_disagreement();

  void show(int entry, double value);
  void show_element(int element, double value) { show(N_FIXED + element, value); }

  /// Put the same values into the vector of another sub-style, so that either may be asked.
  void copy_to(OutputVector &other) const { other.values_ = values_; }

 private:
  LAMMPS_NS::Pair &pair_;
  bool shows_values_;
  std::array<double, N_FIXED + MAX_ATOMIC_NUMBER> values_ = {};
};

}    // namespace mlip

#endif
