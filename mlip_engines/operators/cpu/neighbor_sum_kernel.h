// Loops of the operator mlip::neighbor_sum, compiled once for each instruction set of the processor.

#pragma once

#include "instruction_sets.h"

#include <cstdint>

namespace mlip {

// T[i][k][c] = sum over the edges e of centre i of R[e][k] X[neighbor[e]][c]
template <typename Scalar> struct NeighborSumProblem {
  int64_t n_atoms;       // N, centres
  int64_t n_weights;     // K
  int64_t n_features;    // C
  const int64_t
      *first_edge;    // (N + 1,): edges of centre i are first_edge[i] <= e < first_edge[i + 1]
  const int64_t *neighbor;    // (E,)
  Scalar *weights;            // R (E, K)
  Scalar *features;           // X (N, C)
  Scalar *sums;               // T (N, K, C)
};

// T from R and X, for the centres begin <= i < end
template <typename Scalar>
using SumsKernel = void (*)(const NeighborSumProblem<Scalar> &, int64_t begin, int64_t end);

// R[e][k] = sum_c X[neighbor[e]][c] T[i][k][c], for the centres begin <= i < end
template <typename Scalar>
using WeightsKernel = void (*)(const NeighborSumProblem<Scalar> &, int64_t begin, int64_t end);

// X[j][c] += sum over the edges e with neighbor[e] = j of sum_k R[e][k] T[i][k][c], for begin <= c < end
template <typename Scalar>
using FeaturesKernel = void (*)(const NeighborSumProblem<Scalar> &, int64_t begin, int64_t end);

template <typename Scalar> struct NeighborSumKernels {
  SumsKernel<Scalar> sums;
  WeightsKernel<Scalar> weights;
  FeaturesKernel<Scalar> features;
  int64_t column_block;    // features are fastest in multiples of it
};

MLIP_DECLARE_LOOPS(NeighborSumKernels, neighbor_sum_kernels)

}    // namespace mlip
