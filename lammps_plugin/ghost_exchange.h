// Features of ghosts from their owners after each layer of a network, over LAMMPS's own communication,
// and their gradients the way back; features of reverse edges, for networks that ask for them, straight
// from process to process.

#ifndef MLIP_GHOST_EXCHANGE_H
#define MLIP_GHOST_EXCHANGE_H

#include "exchange.h"

namespace mlip {

class Agreement;
class BoundaryEdges;
class CurrentGraph;
class GhostRows;

class GhostExchange : public FeatureExchange {
 public:
  /// For the atoms of this graph; `boundary` is null for networks that need no reverse edges.
  GhostExchange(const CurrentGraph &graph, GhostRows &rows, Agreement &processes,
                const BoundaryEdges *boundary) :
      graph_(graph), rows_(rows), processes_(processes), boundary_(boundary)
  {
  }

  int64_t n_evaluated() const override;
  int64_t n_atoms() const override;
  void spread(const float *from, float *to, int64_t width) override;
  void spread(const double *from, double *to, int64_t width) override;
  void collect(const float *from, float *to, int64_t width) override;
  void collect(const double *from, double *to, int64_t width) override;

  int64_t n_reverse_edges() const override;
  void swap(const float *from, float *to, int64_t width) override;
  void swap(const double *from, double *to, int64_t width) override;

 private:
  template <typename Scalar> void forward(const Scalar *from, Scalar *to, int64_t width);
  template <typename Scalar> void reverse(const Scalar *from, Scalar *to, int64_t width);

  const CurrentGraph &graph_;
  GhostRows &rows_;
  Agreement &processes_;
  const BoundaryEdges *boundary_;
};

}    // namespace mlip

#endif
