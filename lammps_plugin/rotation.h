// A random rotation of the frame in which a network sees its graph, for networks that are not
// exactly equivariant: their errors then average over orientations instead of adding up in one
// (Langer, Pozdnyakov, Ceriotti, Mach. Learn.: Sci. Technol. 5, 04LT01 (2024)).

#ifndef MLIP_ROTATION_H
#define MLIP_ROTATION_H

#include <cstdint>
#include <vector>

namespace mlip {

struct Evaluation;

class Rotation {
 public:
  /// The rotation of this time step: uniform over all rotations, the same whenever it is asked for.
  Rotation(uint64_t seed, int64_t step);

  /// Rows of `vectors` (n, 3), turned.
  void turn(const std::vector<double> &vectors, std::vector<double> &turned) const;

  /// Results for the turned graph, turned back.
  void turn_back(std::vector<double> &vectors) const;
  void turn_back(double tensor[3][3]) const;
  void turn_back(Evaluation &evaluation) const;
  void turn_back_tensors(std::vector<double> &tensors) const;    // (n, 3, 3)

 private:
  double matrix_[3][3];    // turned = matrix_ * vector
};

}    // namespace mlip

#endif
