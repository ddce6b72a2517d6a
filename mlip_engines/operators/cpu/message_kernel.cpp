// Loops of the operator mlip::equivariant_message, compiled once for each instruction set: see lanes.h.
//
// One of the three filters, one or two vectors of columns wide, stays in registers while all edges pass; all three of
// them, where registers are many and radial functions few. The filter of an edge, w = sum_k R[e, k] W[k], is made where it
// is used: it costs less than loading it would.

#include "message_kernel.h"

#include "lanes.h"

namespace mlip {
namespace MLIP_ISA {

namespace {

enum Which { SCALARS, VECTORS, DIRECTIONS };    // rows of W: for S, for V, for A u

// columns c .. of one of the filters
template <typename Lane, int K, int WIDTH, typename Scalar> struct Filter {
  typename Lane::Type rows[K][WIDTH];

  MLIP_INLINE Filter(const MessageProblem<Scalar> &p, Which which, int64_t c)
  {
    const Scalar *from = p.filters + which * K * p.n_features + c;
    for (int k = 0; k < K; k++)
      for (int w = 0; w < WIDTH; w++)
        rows[k][w] = Lane::load(from + k * p.n_features + w * Lane::LANES);
  }

  MLIP_INLINE void of_edge(const Scalar *r, typename Lane::Type (&filter)[WIDTH]) const
  {
    for (int w = 0; w < WIDTH; w++) filter[w] = r[0] * rows[0][w];
    for (int k = 1; k < K; k++)
      for (int w = 0; w < WIDTH; w++) filter[w] += r[k] * rows[k][w];
  }
};

// messages of the centres begin .. end, one tile wide
template <typename Lane, int K, int WIDTH, typename Scalar>
MLIP_INLINE void messages_tile(const MessageProblem<Scalar> &p, int64_t begin, int64_t end,
                               int64_t c)
{
  using Type = typename Lane::Type;
  constexpr int L = Lane::LANES;
  const int64_t f = p.n_features, n_columns = p.n_columns();
  {
    const Filter<Lane, K, WIDTH, Scalar> filter(p, SCALARS, c);
    for (int64_t i = begin; i < end; i++) {
      Type sum[WIDTH] = {};
      for (int64_t e = p.first_edge[i]; e < p.first_edge[i + 1]; e++) {
        const Scalar *s = p.sources + p.neighbor[e] * n_columns + c;
        Type of_edge[WIDTH];
        filter.of_edge(p.radial + e * K, of_edge);
        for (int w = 0; w < WIDTH; w++) sum[w] += of_edge[w] * Lane::load(s + w * L);
      }
      for (int w = 0; w < WIDTH; w++) Lane::store(p.messages + i * 4 * f + c + w * L, sum[w]);
    }
  }
  {
    const Filter<Lane, K, WIDTH, Scalar> filter(p, DIRECTIONS, c);
    for (int64_t i = begin; i < end; i++) {
      Type sum[3][WIDTH] = {};
      for (int64_t e = p.first_edge[i]; e < p.first_edge[i + 1]; e++) {
        const Scalar *a = p.sources + p.neighbor[e] * n_columns + f + c, *u = p.unit + 3 * e;
        Type of_edge[WIDTH];
        filter.of_edge(p.radial + e * K, of_edge);
        for (int w = 0; w < WIDTH; w++) {
          const Type carried = of_edge[w] * Lane::load(a + w * L);
          for (int d = 0; d < 3; d++) sum[d][w] += u[d] * carried;
        }
      }
      Scalar *m = p.messages + (i * 4 + 1) * f + c;
      for (int d = 0; d < 3; d++)
        for (int w = 0; w < WIDTH; w++) Lane::store(m + d * f + w * L, sum[d][w]);
    }
  }
  if (!p.has_vectors) return;
  const Filter<Lane, K, WIDTH, Scalar> filter(p, VECTORS, c);
  for (int64_t i = begin; i < end; i++) {
    Scalar *m = p.messages + (i * 4 + 1) * f + c;
    Type sum[3][WIDTH];
    for (int d = 0; d < 3; d++)
      for (int w = 0; w < WIDTH; w++) sum[d][w] = Lane::load(m + d * f + w * L);
    for (int64_t e = p.first_edge[i]; e < p.first_edge[i + 1]; e++) {
      const Scalar *v = p.sources + p.neighbor[e] * n_columns + 2 * f + c;
      Type of_edge[WIDTH];
      filter.of_edge(p.radial + e * K, of_edge);
      for (int d = 0; d < 3; d++)
        for (int w = 0; w < WIDTH; w++) sum[d][w] += of_edge[w] * Lane::load(v + d * f + w * L);
    }
    for (int d = 0; d < 3; d++)
      for (int w = 0; w < WIDTH; w++) Lane::store(m + d * f + w * L, sum[d][w]);
  }
}

// whether one vector of columns of all filters leaves registers for the sums, the filters of an edge and an operand
constexpr bool holds_all_filters(int n_basis, bool has_vectors)
{
  return VECTOR_BYTES == 64 && (has_vectors ? 3 : 2) * n_basis <= 24;
}

// The same with all filters at once, one vector wide. The radial functions of an edge are read once, and the three filters
// of an edge are made side by side: none waits for another.
template <typename Lane, int K, bool HAS_VECTORS, typename Scalar>
MLIP_INLINE void messages_at_once(const MessageProblem<Scalar> &p, int64_t begin, int64_t end,
                                  int64_t c)
{
  using Type = typename Lane::Type;
  constexpr int FILTERS = HAS_VECTORS ? 3 : 2;
  constexpr Which WHICH[] = {SCALARS, DIRECTIONS, VECTORS};
  const int64_t f = p.n_features, n_columns = p.n_columns();
  Type rows[K][FILTERS];
  for (int k = 0; k < K; k++)
    for (int q = 0; q < FILTERS; q++)
      rows[k][q] = Lane::load(p.filters + (WHICH[q] * K + k) * f + c);
  for (int64_t i = begin; i < end; i++) {
    Type sum[4] = {};
    for (int64_t e = p.first_edge[i]; e < p.first_edge[i + 1]; e++) {
      const Scalar *r = p.radial + e * K, *u = p.unit + 3 * e;
      const Scalar *x = p.sources + p.neighbor[e] * n_columns + c;
      Type filter[FILTERS];
      for (int q = 0; q < FILTERS; q++) filter[q] = r[0] * rows[0][q];
      for (int k = 1; k < K; k++)
        for (int q = 0; q < FILTERS; q++) filter[q] += r[k] * rows[k][q];
      sum[0] += filter[0] * Lane::load(x);
      const Type carried = filter[1] * Lane::load(x + f);
      for (int d = 0; d < 3; d++) sum[1 + d] += u[d] * carried;
      if constexpr (HAS_VECTORS)
        for (int d = 0; d < 3; d++) sum[1 + d] += filter[2] * Lane::load(x + (2 + d) * f);
    }
    for (int d = 0; d < 4; d++) Lane::store(p.messages + (i * 4 + d) * f + c, sum[d]);
  }
}

// derivatives by the sources of all atoms, one tile wide
template <typename Lane, int K, int WIDTH, typename Scalar>
MLIP_INLINE void by_sources_tile(const MessageProblem<Scalar> &p, int64_t c)
{
  using Type = typename Lane::Type;
  constexpr int L = Lane::LANES;
  const int64_t f = p.n_features, n_columns = p.n_columns();
  {
    const Filter<Lane, K, WIDTH, Scalar> filter(p, SCALARS, c);
    for (int64_t i = 0; i < p.n_centres; i++) {
      Type g[WIDTH];
      for (int w = 0; w < WIDTH; w++) g[w] = Lane::load(p.by_messages + i * 4 * f + c + w * L);
      for (int64_t e = p.first_edge[i]; e < p.first_edge[i + 1]; e++) {
        Scalar *s = p.by_sources + p.neighbor[e] * n_columns + c;
        Type of_edge[WIDTH];
        filter.of_edge(p.radial + e * K, of_edge);
        for (int w = 0; w < WIDTH; w++)
          Lane::store(s + w * L, Lane::load(s + w * L) + of_edge[w] * g[w]);
      }
    }
  }
  {
    const Filter<Lane, K, WIDTH, Scalar> filter(p, DIRECTIONS, c);
    for (int64_t i = 0; i < p.n_centres; i++) {
      Type g[3][WIDTH];
      for (int d = 0; d < 3; d++)
        for (int w = 0; w < WIDTH; w++)
          g[d][w] = Lane::load(p.by_messages + (i * 4 + 1 + d) * f + c + w * L);
      for (int64_t e = p.first_edge[i]; e < p.first_edge[i + 1]; e++) {
        Scalar *a = p.by_sources + p.neighbor[e] * n_columns + f + c;
        const Scalar *u = p.unit + 3 * e;
        Type of_edge[WIDTH];
        filter.of_edge(p.radial + e * K, of_edge);
        for (int w = 0; w < WIDTH; w++) {
          const Type along = u[0] * g[0][w] + u[1] * g[1][w] + u[2] * g[2][w];
          Lane::store(a + w * L, Lane::load(a + w * L) + of_edge[w] * along);
        }
      }
    }
  }
  if (!p.has_vectors) return;
  const Filter<Lane, K, WIDTH, Scalar> filter(p, VECTORS, c);
  for (int64_t i = 0; i < p.n_centres; i++) {
    Type g[3][WIDTH];
    for (int d = 0; d < 3; d++)
      for (int w = 0; w < WIDTH; w++)
        g[d][w] = Lane::load(p.by_messages + (i * 4 + 1 + d) * f + c + w * L);
    for (int64_t e = p.first_edge[i]; e < p.first_edge[i + 1]; e++) {
      Scalar *v = p.by_sources + p.neighbor[e] * n_columns + 2 * f + c;
      Type of_edge[WIDTH];
      filter.of_edge(p.radial + e * K, of_edge);
      for (int d = 0; d < 3; d++)
        for (int w = 0; w < WIDTH; w++)
          Lane::store(v + d * f + w * L, Lane::load(v + d * f + w * L) + of_edge[w] * g[d][w]);
    }
  }
}

// what the columns c .. of one edge give to its derivatives
template <typename Lane, int K, bool HAS_VECTORS, typename Scalar>
MLIP_INLINE void by_edge_columns(const MessageProblem<Scalar> &p, const Scalar *x, const Scalar *g,
                                 const Scalar *r, const Scalar *u, int64_t c,
                                 typename Lane::Type (&by_r)[K], typename Lane::Type (&by_u)[3])
{
  using Type = typename Lane::Type;
  const int64_t f = p.n_features;
  const Scalar *of_s = p.filters + SCALARS * K * f + c, *of_v = p.filters + VECTORS * K * f + c;
  const Scalar *of_a = p.filters + DIRECTIONS * K * f + c;
  const Type a = Lane::load(x + f + c);
  const Type g_0 = Lane::load(g + f + c), g_1 = Lane::load(g + 2 * f + c);
  const Type g_2 = Lane::load(g + 3 * f + c);
  const Type by_s = Lane::load(x + c) * Lane::load(g + c);
  const Type by_a = a * (u[0] * g_0 + u[1] * g_1 + u[2] * g_2);
  Type by_v = {};
  if (HAS_VECTORS)
    by_v = Lane::load(x + 2 * f + c) * g_0 + Lane::load(x + 3 * f + c) * g_1 +
           Lane::load(x + 4 * f + c) * g_2;
  Type filter = {};
  for (int k = 0; k < K; k++) {
    const Type row = Lane::load(of_a + k * f);
    filter += r[k] * row;
    by_r[k] += by_a * row + by_s * Lane::load(of_s + k * f);
    if (HAS_VECTORS) by_r[k] += by_v * Lane::load(of_v + k * f);
  }
  filter *= a;
  by_u[0] += filter * g_0;
  by_u[1] += filter * g_1;
  by_u[2] += filter * g_2;
}

template <int K, bool HAS_VECTORS, typename Scalar>
MLIP_INLINE void by_edges_of(const MessageProblem<Scalar> &p, int64_t begin, int64_t end)
{
  using Wide = Vector<Scalar>;
  const int64_t f = p.n_features, n_columns = p.n_columns();
  for (int64_t i = begin; i < end; i++) {
    const Scalar *g = p.by_messages + i * 4 * f;
    for (int64_t e = p.first_edge[i]; e < p.first_edge[i + 1]; e++) {
      const Scalar *x = p.sources + p.neighbor[e] * n_columns;
      const Scalar *r = p.radial + e * K, *u = p.unit + 3 * e;
      typename Wide::Type by_r[K] = {}, by_u[3] = {};
      Scalar rest_r[K] = {}, rest_u[3] = {};
      int64_t c = 0;
      for (; c + Wide::LANES <= f; c += Wide::LANES)
        by_edge_columns<Wide, K, HAS_VECTORS>(p, x, g, r, u, c, by_r, by_u);
      for (; c < f; c++)
        by_edge_columns<Single<Scalar>, K, HAS_VECTORS>(p, x, g, r, u, c, rest_r, rest_u);
      for (int k = 0; k < K; k++)
        p.by_radial[e * K + k] = rest_r[k] + Lanes<Scalar, VECTOR_BYTES>::sum(by_r[k]);
      for (int d = 0; d < 3; d++)
        p.by_unit[3 * e + d] = rest_u[d] + Lanes<Scalar, VECTOR_BYTES>::sum(by_u[d]);
    }
  }
}

// as many vectors of columns at once as leave registers for the rest
constexpr int tile_width(int n_basis)
{
  return n_basis <= 12 ? TILE_VECTORS : 1;
}

template <int K> struct Messages {
  template <typename Scalar>
  static void run(const MessageProblem<Scalar> &p, int64_t begin, int64_t end)
  {
    using Wide = Vector<Scalar>;
    constexpr int WIDTH = tile_width(K), L = Wide::LANES;
    int64_t c = 0;
    if constexpr (holds_all_filters(K, true))
      for (; p.has_vectors && c + L <= p.n_features; c += L)
        messages_at_once<Wide, K, true>(p, begin, end, c);
    if constexpr (holds_all_filters(K, false))
      for (; !p.has_vectors && c + L <= p.n_features; c += L)
        messages_at_once<Wide, K, false>(p, begin, end, c);
    for (; c + WIDTH * L <= p.n_features; c += WIDTH * L)
      messages_tile<Wide, K, WIDTH>(p, begin, end, c);
    for (; c + L <= p.n_features; c += L) messages_tile<Wide, K, 1>(p, begin, end, c);
    for (; c < p.n_features; c++) messages_tile<Single<Scalar>, K, 1>(p, begin, end, c);
  }
};

template <int K> struct BySources {
  template <typename Scalar>
  static void run(const MessageProblem<Scalar> &p, int64_t begin, int64_t end)
  {
    using Wide = Vector<Scalar>;
    constexpr int WIDTH = tile_width(K), L = Wide::LANES;
    int64_t c = begin;
    for (; c + WIDTH * L <= end; c += WIDTH * L) by_sources_tile<Wide, K, WIDTH>(p, c);
    for (; c + L <= end; c += L) by_sources_tile<Wide, K, 1>(p, c);
    for (; c < end; c++) by_sources_tile<Single<Scalar>, K, 1>(p, c);
  }
};

template <int K> struct ByEdges {
  template <typename Scalar>
  static void run(const MessageProblem<Scalar> &p, int64_t begin, int64_t end)
  {
    if (p.has_vectors)
      by_edges_of<K, true>(p, begin, end);
    else
      by_edges_of<K, false>(p, begin, end);
  }
};

// calls Loop<K>::run for the number of radial functions of a problem, K at most
template <template <int> class Loop, int K, typename Scalar>
void for_basis(const MessageProblem<Scalar> &p, int64_t begin, int64_t end)
{
  if (p.n_basis == K)
    Loop<K>::run(p, begin, end);
  else if constexpr (K > 1)
    for_basis<Loop, K - 1>(p, begin, end);
}

}    // namespace

template <typename Scalar> MessageKernels<Scalar> message_kernels()
{
  constexpr int MOST = MESSAGE_MAX_BASIS;
  return {for_basis<Messages, MOST, Scalar>, for_basis<BySources, MOST, Scalar>,
          for_basis<ByEdges, MOST, Scalar>, TILE_VECTORS * Vector<Scalar>::LANES};
}

MLIP_DEFINE_LOOPS(MessageKernels, message_kernels)

}    // namespace MLIP_ISA
}    // namespace mlip
