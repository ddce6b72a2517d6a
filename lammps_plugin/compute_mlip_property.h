/* -*- c++ -*- ----------------------------------------------------------
   Compute mlip/property: numbers that a model gives for the structure as a whole beside the
   energy, such as a gap, in the units that its file says.
------------------------------------------------------------------------- */

#ifndef LMP_COMPUTE_MLIP_PROPERTY_H
#define LMP_COMPUTE_MLIP_PROPERTY_H

#include "compute.h"

#include <string>
#include <vector>

namespace LAMMPS_NS {

class ComputeMLIPProperty : public Compute {
 public:
  ComputeMLIPProperty(class LAMMPS *, int, char **);

  void init() override;
  double compute_scalar() override;
  void compute_vector() override;

 private:
  class PairMLIP *pair = nullptr;
  int substyle = 0;                  // 1, 2, ... among several sub-styles mlip of a hybrid style
  std::vector<std::string> names;    // of the properties, as asked for
  std::vector<size_t> columns;       // their places among those of the model
  std::vector<double> values;
  bigint evaluated_at = -1;

  void evaluate();
};

}    // namespace LAMMPS_NS

#endif
