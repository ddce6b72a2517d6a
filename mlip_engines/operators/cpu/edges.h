// The graph as sums over neighbours see it: edges by centre.

#pragma once

#include <ATen/ATen.h>

#include <algorithm>

namespace mlip {

struct Edges {
  at::Tensor first_edge;    // (n + 1,) int64
  at::Tensor neighbor;      // (E,) int64

  int64_t n_centres() const { return first_edge.size(0) - 1; }
  int64_t n_edges() const { return neighbor.size(0); }

  // what loops take for granted, in a graph of n_atoms of which the first may be centres only
  void check(const char *name, int64_t n_atoms) const
  {
    TORCH_CHECK(first_edge.dim() == 1 && neighbor.dim() == 1 && first_edge.size(0) >= 1 &&
                    n_centres() <= n_atoms,
                name, ": expected first_edge (n + 1,) of n <= N = ", n_atoms,
                " centres and neighbor (E,), got ", first_edge.sizes(), " and ", neighbor.sizes());
    TORCH_CHECK(first_edge.is_contiguous() && neighbor.is_contiguous() &&
                    first_edge.scalar_type() == at::kLong && neighbor.scalar_type() == at::kLong,
                name, ": expected first_edge and neighbor to be contiguous and int64");
    const int64_t *first = first_edge.const_data_ptr<int64_t>();
    const int64_t *j = neighbor.const_data_ptr<int64_t>();
    TORCH_CHECK(first[0] == 0 && first[n_centres()] == n_edges() &&
                    std::is_sorted(first, first + n_centres() + 1),
                name, ": expected first_edge to rise from 0 to the number of edges, ", n_edges());
    for (int64_t e = 0; e < n_edges(); e++)
      TORCH_CHECK_INDEX(j[e] >= 0 && j[e] < n_atoms, name, ": neighbor ", j[e], " of edge ", e,
                        " is not among the ", n_atoms, " atoms");
  }

  // centres for one thread, if an edge takes so many products: not less work than starting it costs
  int64_t grain(int64_t products) const
  {
    const int64_t work = n_edges() * products / std::max<int64_t>(n_centres(), 1);
    return std::max<int64_t>(1, 1000000 / std::max<int64_t>(work, 1));
  }
};

}    // namespace mlip
