// Loops of the operator mlip::bessel_edges, compiled once for each instruction set of the processor.

#pragma once

#include "instruction_sets.h"

#include <cstdint>

namespace mlip {

// see bessel_edges.cpp for the formulas
template <typename Scalar> struct BesselProblem {
  int64_t n_basis;          // K
  Scalar cutoff;            // c
  const Scalar *vectors;    // (E, 3), of all edges
  const int64_t *edge;      // (E',), which of them are near
  Scalar *radial, *unit;    // (E', K), (E', 3)
  const Scalar *by_radial, *by_unit;
  Scalar *by_vectors;    // (E, 3), zero at first
};

// for the near edges begin <= e < end
template <typename Scalar>
using BesselLoop = void (*)(const BesselProblem<Scalar> &, int64_t begin, int64_t end);

template <typename Scalar> struct BesselKernels {
  BesselLoop<Scalar> radial, by_vectors;
};

MLIP_DECLARE_LOOPS(BesselKernels, bessel_kernels)

}    // namespace mlip
