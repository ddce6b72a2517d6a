// Normal deviates that belong to an atom, a step and a number: whoever asks for them gets the same ones, on any number of
// processes and after a restart. No LAMMPS here.

#ifndef MLIP_COUNTER_NOISE_H
#define MLIP_COUNTER_NOISE_H

#include <array>
#include <cmath>
#include <cstdint>

namespace mlip {

/// Philox4x32-10: ten rounds that turn a counter and a key into four words without any visible order
/// (Salmon, Moraes, Dror, Shaw, SC'11, https://doi.org/10.1145/2063384.2063405).
inline std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key)
{
  for (int round = 0; round < 10; round++) {
    const uint64_t even = uint64_t(0xD2511F53) * counter[0];
    const uint64_t odd = uint64_t(0xCD9E8D57) * counter[2];
    counter = {uint32_t(odd >> 32) ^ counter[1] ^ key[0], uint32_t(odd),
               uint32_t(even >> 32) ^ counter[3] ^ key[1], uint32_t(even)};
    key = {key[0] + 0x9E3779B9, key[1] + 0xBB67AE85};
  }
  return counter;
}

class CounterNoise {
 public:
  explicit CounterNoise(uint32_t seed) : seed_(seed) {}

  /// Four normal deviates of an atom and a step; `number` tells several draws of one step apart.
  std::array<double, 4> normals(uint64_t atom, uint64_t step, uint32_t number) const
  {
    const auto words =
        philox({uint32_t(atom), uint32_t(atom >> 32), uint32_t(step), uint32_t(step >> 32)},
               {seed_, number});
    std::array<double, 4> values;
    for (int k = 0; k < 4; k += 2) {    // Box and Muller
      const double radius = std::sqrt(-2.0 * std::log((words[k] + 0.5) / 4294967296.0));
      const double angle = 2.0 * std::acos(-1.0) * ((words[k + 1] + 0.5) / 4294967296.0);
      values[k] = radius * std::cos(angle);
      values[k + 1] = radius * std::sin(angle);
    }
    return values;
  }

 private:
  uint32_t seed_;
};

}    // namespace mlip

#endif
