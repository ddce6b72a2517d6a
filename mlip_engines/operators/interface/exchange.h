// Features of atoms and edges that belong to other processes, as the operators mlip::exchange and mlip::swap_edges get
// them from whoever runs the simulation. No libtorch here: a molecular-dynamics engine implements this class.

#pragma once

#include <cstdint>

namespace mlip {

/// Rows of numbers, one for each atom of the local graph. The first n_evaluated() atoms are evaluated on this process,
/// the others elsewhere. All processes make the same calls in the same order. Every member function may throw.
class FeatureExchange {
 public:
  virtual ~FeatureExchange() = default;

  virtual int64_t n_evaluated() const = 0;
  virtual int64_t n_atoms() const = 0;

  /// From rows (n_evaluated, width) to rows (n_atoms, width): those of the others come from where they are evaluated.
  virtual void spread(const float *evaluated, float *all, int64_t width) = 0;
  virtual void spread(const double *evaluated, double *all, int64_t width) = 0;

  /// The adjoint: from rows (n_atoms, width) to the sums (n_evaluated, width) over all processes.
  virtual void collect(const float *all, float *evaluated, int64_t width) = 0;
  virtual void collect(const double *all, double *evaluated, int64_t width) = 0;

  /// How many edges of the evaluated atoms have their reverse on another process. Throws if the engine did not expect
  /// to be asked.
  virtual int64_t n_reverse_edges() const = 0;

  /// Rows (n_reverse_edges, width) of these edges to those of their reverses, in the order of the edges on either side.
  /// That is its own adjoint.
  virtual void swap(const float *rows, float *reverse, int64_t width) = 0;
  virtual void swap(const double *rows, double *reverse, int64_t width) = 0;
};

}    // namespace mlip
