// What a model gives at the present positions, and the atoms of this process that it is about.

#ifndef MLIP_PRESENT_EVALUATION_H
#define MLIP_PRESENT_EVALUATION_H

#include <vector>

namespace mlip {

struct Evaluation;

struct PresentEvaluation {
  const Evaluation *values;         // null if no process has an atom of the model
  const std::vector<int> &atoms;    // (n_owned) their indices in LAMMPS's arrays
};

}    // namespace mlip

#endif
