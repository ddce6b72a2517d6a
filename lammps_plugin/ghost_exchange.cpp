#include "ghost_exchange.h"

#include "agreement.h"
#include "boundary_edges.h"
#include "current_graph.h"
#include "ghost_rows.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace mlip {

/* ----------------------------------------------------------------------
   the probe is evaluated everywhere
------------------------------------------------------------------------- */

int64_t GhostExchange::n_evaluated() const
{
  return graph_.local().n_counted;
}

int64_t GhostExchange::n_atoms() const
{
  return graph_.local().n_atoms();
}

/* ---------------------------------------------------------------------- */

template <typename Scalar>
void GhostExchange::forward(const Scalar *from, Scalar *to, int64_t width)
{
  processes_.go_on();
  rows_.clear<Scalar>(width);
  const Scalar *next = from;
  for (const int i : graph_.edges().owned()) {
    rows_.put(i, next);
    next += width;
  }
  rows_.send_to_ghosts();
  to = std::copy_n(from, n_evaluated() * width, to);
  for (const int i : graph_.edges().others()) {
    rows_.get(i, to);
    to += width;
  }
}

/* ---------------------------------------------------------------------- */

template <typename Scalar>
void GhostExchange::reverse(const Scalar *from, Scalar *to, int64_t width)
{
  processes_.go_on();
  rows_.clear<Scalar>(width);
  std::copy_n(from, n_evaluated() * width, to);
  from += n_evaluated() * width;
  for (const int i : graph_.edges().others()) {
    rows_.put(i, from);
    from += width;
  }
  rows_.sum_at_owners();
  std::vector<Scalar> sums(width);
  for (const int i : graph_.edges().owned()) {
    rows_.get(i, sums.data());
    for (int64_t k = 0; k < width; k++) *to++ += sums[k];
  }
}

/* ---------------------------------------------------------------------- */

void GhostExchange::spread(const float *from, float *to, int64_t width)
{
  forward(from, to, width);
}

void GhostExchange::spread(const double *from, double *to, int64_t width)
{
  forward(from, to, width);
}

void GhostExchange::collect(const float *from, float *to, int64_t width)
{
  reverse(from, to, width);
}

void GhostExchange::collect(const double *from, double *to, int64_t width)
{
  reverse(from, to, width);
}

/* ---------------------------------------------------------------------- */

int64_t GhostExchange::n_reverse_edges() const
{
  if (!boundary_)
    throw std::runtime_error("the network asks for features of reverse edges, and its file does "
                             "not say so. Set edge_exchange = True in the network and export it "
                             "again, or use parallel halo");
  return boundary_->n_rows();
}

void GhostExchange::swap(const float *from, float *to, int64_t width)
{
  boundary_->swap(from, to, width);
}

void GhostExchange::swap(const double *from, double *to, int64_t width)
{
  boundary_->swap(from, to, width);
}

}    // namespace mlip
