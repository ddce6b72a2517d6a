// Loops of the operator mlip::equivariant_message, compiled once for each instruction set of the processor.

#pragma once

#include "instruction_sets.h"

#include <cstdint>

namespace mlip {

// what the three loops read, and what each of them writes; see message.cpp for the formulas
template <typename Scalar> struct MessageProblem {
  int64_t n_centres;     // n
  int64_t n_basis;       // K
  int64_t n_features;    // F
  bool has_vectors;      // whether V is there: sources have 5 F columns, or 2 F
  const int64_t
      *first_edge;    // (n + 1,): edges of centre i are first_edge[i] <= e < first_edge[i + 1]
  const int64_t *neighbor;      // (E,)
  const Scalar *radial;         // R (E, K)
  const Scalar *unit;           // u (E, 3)
  const Scalar *sources;        // (N, 5 F): S, A, V by component
  const Scalar *filters;        // W (3, K, F)
  const Scalar *by_messages;    // derivatives by the messages (n, 4, F)
  Scalar *messages;             // (n, 4, F)
  Scalar *by_sources;           // as the sources, zero at first
  Scalar *by_radial;            // (E, K)
  Scalar *by_unit;              // (E, 3)

  int64_t n_columns() const { return (has_vectors ? 5 : 2) * n_features; }
};

template <typename Scalar>
using MessageLoop = void (*)(const MessageProblem<Scalar> &, int64_t begin, int64_t end);

template <typename Scalar> struct MessageKernels {
  MessageLoop<Scalar> messages;      // for the centres begin <= i < end
  MessageLoop<Scalar> by_sources;    // for the features begin <= c < end
  MessageLoop<Scalar> by_edges;      // by_radial and by_unit, for the centres begin <= i < end
  int64_t column_block;              // features are fastest in multiples of it
};

// the filters of a tile stay in registers, so there may not be more radial functions than this
constexpr int64_t MESSAGE_MAX_BASIS = 16;

MLIP_DECLARE_LOOPS(MessageKernels, message_kernels)

}    // namespace mlip
