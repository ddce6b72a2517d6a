// Loops of the operator mlip::tensor_product_sum, compiled once for each instruction set of the processor.

#pragma once

#include "instruction_sets.h"

#include <cstdint>

namespace mlip {

// What the three loops read, and what each of them writes; see tensor_product.cpp for the formulas. The coefficients that
// are not zero are a list: of pairs (k, a) by k, and for each pair of its harmonics b.
template <typename Scalar> struct TensorProductProblem {
  int64_t n_centres;      // n
  int64_t n_in;           // A
  int64_t n_harmonics;    // B
  int64_t n_out;          // K
  int64_t n_paths;        // P
  int64_t n_channels;     // C
  int64_t n_pairs;        // M
  const int64_t
      *first_edge;    // (n + 1,): edges of centre i are first_edge[i] <= e < first_edge[i + 1]
  const int64_t *neighbor;         // (E,)
  const int64_t *path;             // p(k), (K,)
  const int64_t *first_pair;       // (K + 1,): pairs of component k
  const int64_t *pair_in;          // a, (M,)
  const int64_t *first_term;       // (M + 1,): terms of a pair
  const int64_t *term_harmonic;    // b
  const Scalar *term_value;        // G[b, k, a]
  const Scalar *sources;           // X (N, A, C)
  const Scalar *harmonics;         // Y (E, B)
  const Scalar *weights;           // W (E, P, C)
  const Scalar *by_sums;           // derivatives by the sums (n, K, C)
  Scalar *sums;                    // (n, K, C), zero at first
  Scalar *by_sources;              // as the sources, zero at first
  Scalar *by_harmonics;            // as the harmonics
  Scalar *by_weights;              // as the weights, zero at first
};

// numbers that a loop needs for itself
template <typename Scalar> int64_t scratch_size(const TensorProductProblem<Scalar> &p)
{
  constexpr int64_t MOST_LANES = 16;
  return (p.n_pairs + p.n_harmonics) * (2 + MOST_LANES);
}

template <typename Scalar>
using TensorProductLoop = void (*)(const TensorProductProblem<Scalar> &, int64_t begin, int64_t end,
                                   Scalar *scratch);

template <typename Scalar> struct TensorProductKernels {
  TensorProductLoop<Scalar> sums;          // for the centres begin <= i < end
  TensorProductLoop<Scalar> by_sources;    // for the channels begin <= c < end
  TensorProductLoop<Scalar>
      by_edges;            // by harmonics and weights, for the centres begin <= i < end
  int64_t column_block;    // channels are fastest in multiples of it
};

MLIP_DECLARE_LOOPS(TensorProductKernels, tensor_product_kernels)

}    // namespace mlip
