// Loops of the operators on the features of one atom, compiled once for each instruction set of the processor.

#pragma once

#include "instruction_sets.h"

#include <cstdint>

namespace mlip {

// A dense layer, y = W x + b, as the loops want it: what stands side by side in x or y, each as wide as whole vectors.
template <typename Scalar> struct Layer {
  const Scalar *weights;     // W transposed (inputs, outputs), padded with zeros
  const Scalar *backward;    // W (outputs, inputs), padded with zeros; only for derivatives
  const Scalar *bias;        // (outputs,), padded with zeros; there may be none
  int64_t n_inputs;          // padded
  int64_t n_outputs;         // padded
};

// Features of n atoms, P stands for F padded to whole vectors; see atom_blocks.cpp for the formulas.
template <typename Scalar> struct SourcesProblem {
  int64_t n_atoms, n_features;
  bool has_vectors;       // whether the sources have 5 F columns, or 2 F
  const Scalar *s, *v;    // (n, F), (n, 3, F)
  Layer<Scalar> first, second;
  Scalar *sources;             // (n, 2 F or 5 F)
  Scalar *saved;               // (n, 2 P): what SiLU is taken of, and the factor of v; or nullptr
  const Scalar *by_sources;    // derivatives by the sources
  Scalar *by_s, *by_v;         // (n, F), (n, 3, F)
};

template <typename Scalar> struct UpdateProblem {
  int64_t n_atoms, n_features;
  Scalar squared_width;              // of the norm
  const Scalar *s, *v, *messages;    // (n, F), (n, 3, F), (n, 4, F)
  Layer<Scalar> vectors, first, second;
  Scalar *new_s, *new_v;    // (n, F), (n, 3, F)
  Scalar *saved;    // (n, 11 P): U and V by component, norm, what SiLU is taken of, a; or nullptr
  const Scalar *by_new_s, *by_new_v;
  Scalar *by_s, *by_v;    // (n, F), (n, 3, F)
};

template <typename Scalar> struct GatedProblem {
  int64_t n_atoms, n_features, n_out;
  Scalar squared_width;
  const Scalar *s, *v;    // (n, F), (n, 3, F)
  Layer<Scalar> vectors, first, second;
  Scalar *new_s, *new_v;    // (n, O), (n, 3, O)
};

template <typename Problem> using AtomLoop = void (*)(const Problem &, int64_t begin, int64_t end);

// for the blocks of atoms begin <= k < end
template <typename Scalar> struct AtomBlockKernels {
  AtomLoop<SourcesProblem<Scalar>> sources, by_sources;
  AtomLoop<UpdateProblem<Scalar>> update, by_update;
  AtomLoop<GatedProblem<Scalar>> gated;
  int64_t lanes;    // numbers in a vector
  int64_t block;    // atoms in a block
};

MLIP_DECLARE_LOOPS(AtomBlockKernels, atom_block_kernels)

}    // namespace mlip
