// Loops of the operator mlip::polynomial, compiled once for each instruction set of the processor.

#pragma once

#include "instruction_sets.h"

#include <cstdint>

namespace mlip {

// what the loops read, and what each of them writes; see polynomial.cpp for the formula
template <typename Scalar> struct PolynomialProblem {
  int64_t n_features;            // A
  int64_t n_terms;               // T
  int64_t n_out;                 // O
  int64_t n_channels;            // C
  const int64_t *species;        // z (n,)
  const int64_t *factors;        // f (T, 3)
  const int64_t *output;         // o (T,), not decreasing
  const Scalar *features;        // x (n, A, C)
  const Scalar *coefficients;    // V (Z, T, C)
  const Scalar *by_values;       // derivatives by the values (n, O, C)
  Scalar *values;                // B (n, O, C), zero at first
  Scalar *by_features;           // (n, A, C)
};

// numbers that a loop needs for itself: features of a tile and derivatives by them, with the 1
template <typename Scalar> int64_t scratch_size(const PolynomialProblem<Scalar> &p)
{
  constexpr int64_t MOST_IN_TILE = 2 * 16;
  return 2 * (p.n_features + 1) * MOST_IN_TILE;
}

template <typename Scalar>
using PolynomialLoop = void (*)(const PolynomialProblem<Scalar> &, int64_t begin, int64_t end,
                                Scalar *scratch);

template <typename Scalar> struct PolynomialKernels {
  PolynomialLoop<Scalar> values;         // for the atoms begin <= i < end
  PolynomialLoop<Scalar> by_features;    // likewise
};

MLIP_DECLARE_LOOPS(PolynomialKernels, polynomial_kernels)

}    // namespace mlip
