#include "rotation.h"

#include "model.h"

#include <cmath>
#include <random>

namespace mlip {

// A unit quaternion from four normal deviates is uniform over all rotations. Only the generator is
// defined to give the same numbers with every C++ library, so the deviates are made here.
Rotation::Rotation(uint64_t seed, int64_t step)
{
  std::seed_seq sequence{uint32_t(seed), uint32_t(seed >> 32), uint32_t(step),
                         uint32_t(uint64_t(step) >> 32)};
  std::mt19937_64 generator(sequence);
  const auto uniform = [&generator] {    // in (0, 1)
    return (static_cast<double>(generator() >> 11) + 0.5) / 9007199254740992.0;
  };
  double q[4], norm_sq = 0.0;
  for (int k = 0; k < 4; k += 2) {    // Box and Muller
    const double radius = std::sqrt(-2.0 * std::log(uniform()));
    const double angle = 2.0 * std::acos(-1.0) * uniform();
    q[k] = radius * std::cos(angle);
    q[k + 1] = radius * std::sin(angle);
    norm_sq += radius * radius;
  }
  for (double &component : q) component /= std::sqrt(norm_sq);
  const double w = q[0], x = q[1], y = q[2], z = q[3];
  const double matrix[3][3] = {{1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)},
                               {2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)},
                               {2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)}};
  for (int a = 0; a < 3; a++)
    for (int b = 0; b < 3; b++) matrix_[a][b] = matrix[a][b];
}

/* ---------------------------------------------------------------------- */

void Rotation::turn(const std::vector<double> &vectors, std::vector<double> &turned) const
{
  turned.resize(vectors.size());
  for (size_t i = 0; i < vectors.size(); i += 3)
    for (int a = 0; a < 3; a++)
      turned[i + a] = matrix_[a][0] * vectors[i] + matrix_[a][1] * vectors[i + 1] +
                      matrix_[a][2] * vectors[i + 2];
}

void Rotation::turn_back(std::vector<double> &vectors) const
{
  for (size_t i = 0; i < vectors.size(); i += 3) {
    const double v[3] = {vectors[i], vectors[i + 1], vectors[i + 2]};
    for (int a = 0; a < 3; a++)
      vectors[i + a] = matrix_[0][a] * v[0] + matrix_[1][a] * v[1] + matrix_[2][a] * v[2];
  }
}

void Rotation::turn_back(double tensor[3][3]) const
{
  double half[3][3] = {};    // tensor * matrix
  for (int a = 0; a < 3; a++)
    for (int b = 0; b < 3; b++)
      for (int k = 0; k < 3; k++) half[a][b] += tensor[a][k] * matrix_[k][b];
  for (int a = 0; a < 3; a++)
    for (int b = 0; b < 3; b++) {
      tensor[a][b] = 0.0;
      for (int k = 0; k < 3; k++) tensor[a][b] += matrix_[k][a] * half[k][b];
    }
}

void Rotation::turn_back_tensors(std::vector<double> &tensors) const
{
  double tensor[3][3];
  for (size_t i = 0; i < tensors.size(); i += 9) {
    for (int k = 0; k < 9; k++) tensor[k / 3][k % 3] = tensors[i + k];
    turn_back(tensor);
    for (int k = 0; k < 9; k++) tensors[i + k] = tensor[k / 3][k % 3];
  }
}

void Rotation::turn_back(Evaluation &evaluation) const
{
  turn_back(evaluation.forces);
  turn_back(evaluation.virial);
  turn_back(evaluation.direct.forces);
  turn_back(evaluation.direct.virial);
  turn_back_tensors(evaluation.atomic_virials);
  turn_back_tensors(evaluation.centroid_virials);
}

}    // namespace mlip
