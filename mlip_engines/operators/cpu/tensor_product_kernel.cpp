// Loops of the operator mlip::tensor_product_sum, compiled once for each instruction set: see lanes.h.
//
// For each edge the harmonics are contracted with the coefficients first, which leaves one number t for each pair (k, a)
// of a component of the result and one of the source. Then all channels pass, a tile at a time.

#include "tensor_product_kernel.h"

#include "lanes.h"

namespace mlip {
namespace MLIP_ISA {

namespace {

// t (M,) of an edge
template <typename Scalar>
MLIP_INLINE void contract(const TensorProductProblem<Scalar> &p, int64_t edge, Scalar *t)
{
  const Scalar *y = p.harmonics + edge * p.n_harmonics;
  for (int64_t m = 0; m < p.n_pairs; m++) {
    Scalar sum = 0;
    for (int64_t k = p.first_term[m]; k < p.first_term[m + 1]; k++)
      sum += p.term_value[k] * y[p.term_harmonic[k]];
    t[m] = sum;
  }
}

template <typename Lane, int WIDTH, typename Scalar>
MLIP_INLINE void sums_tile(const TensorProductProblem<Scalar> &p, const Scalar *t, const Scalar *x,
                           const Scalar *weights, Scalar *sums)
{
  using Type = typename Lane::Type;
  constexpr int L = Lane::LANES;
  for (int64_t k = 0; k < p.n_out; k++) {
    Type coupled[WIDTH] = {};
    for (int64_t m = p.first_pair[k]; m < p.first_pair[k + 1]; m++) {
      const Scalar *from = x + p.pair_in[m] * p.n_channels;
      for (int w = 0; w < WIDTH; w++) coupled[w] += t[m] * Lane::load(from + w * L);
    }
    const Scalar *weight = weights + p.path[k] * p.n_channels;
    Scalar *to = sums + k * p.n_channels;
    for (int w = 0; w < WIDTH; w++)
      Lane::store(to + w * L, Lane::load(to + w * L) + Lane::load(weight + w * L) * coupled[w]);
  }
}

template <typename Lane, int WIDTH, typename Scalar>
MLIP_INLINE void by_source_tile(const TensorProductProblem<Scalar> &p, const Scalar *t,
                                const Scalar *weights, const Scalar *by_sums, Scalar *by_x)
{
  using Type = typename Lane::Type;
  constexpr int L = Lane::LANES;
  for (int64_t k = 0; k < p.n_out; k++) {
    const Scalar *weight = weights + p.path[k] * p.n_channels, *g = by_sums + k * p.n_channels;
    Type carried[WIDTH];
    for (int w = 0; w < WIDTH; w++) carried[w] = Lane::load(weight + w * L) * Lane::load(g + w * L);
    for (int64_t m = p.first_pair[k]; m < p.first_pair[k + 1]; m++) {
      Scalar *to = by_x + p.pair_in[m] * p.n_channels;
      for (int w = 0; w < WIDTH; w++)
        Lane::store(to + w * L, Lane::load(to + w * L) + t[m] * carried[w]);
    }
  }
}

// by_weights of an edge, and by t: one row of lanes for each pair
template <typename Lane, int WIDTH, typename Scalar>
MLIP_INLINE void by_edge_tile(const TensorProductProblem<Scalar> &p, const Scalar *t,
                              const Scalar *x, const Scalar *weights, const Scalar *by_sums,
                              Scalar *by_weights, Scalar *by_t)
{
  using Type = typename Lane::Type;
  constexpr int L = Lane::LANES;
  for (int64_t k = 0; k < p.n_out; k++) {
    const Scalar *weight = weights + p.path[k] * p.n_channels, *g = by_sums + k * p.n_channels;
    Type gradient[WIDTH], carried[WIDTH], coupled[WIDTH] = {};
    for (int w = 0; w < WIDTH; w++) {
      gradient[w] = Lane::load(g + w * L);
      carried[w] = Lane::load(weight + w * L) * gradient[w];
    }
    for (int64_t m = p.first_pair[k]; m < p.first_pair[k + 1]; m++) {
      const Scalar *from = x + p.pair_in[m] * p.n_channels;
      Type sum = {};
      for (int w = 0; w < WIDTH; w++) {
        const Type source = Lane::load(from + w * L);
        coupled[w] += t[m] * source;
        sum += carried[w] * source;
      }
      Lane::store(by_t + m * L, Lane::load(by_t + m * L) + sum);
    }
    Scalar *to = by_weights + p.path[k] * p.n_channels;
    for (int w = 0; w < WIDTH; w++)
      Lane::store(to + w * L, Lane::load(to + w * L) + gradient[w] * coupled[w]);
  }
}

template <typename Scalar>
void sums(const TensorProductProblem<Scalar> &p, int64_t begin, int64_t end, Scalar *scratch)
{
  using Wide = Vector<Scalar>;
  constexpr int L = Wide::LANES, WIDTH = TILE_VECTORS;
  const int64_t n = p.n_channels;
  for (int64_t i = begin; i < end; i++)
    for (int64_t e = p.first_edge[i]; e < p.first_edge[i + 1]; e++) {
      contract(p, e, scratch);
      const Scalar *x = p.sources + p.neighbor[e] * p.n_in * n, *w = p.weights + e * p.n_paths * n;
      Scalar *to = p.sums + i * p.n_out * n;
      int64_t c = 0;
      for (; c + WIDTH * L <= n; c += WIDTH * L)
        sums_tile<Wide, WIDTH>(p, scratch, x + c, w + c, to + c);
      for (; c + L <= n; c += L) sums_tile<Wide, 1>(p, scratch, x + c, w + c, to + c);
      for (; c < n; c++) sums_tile<Single<Scalar>, 1>(p, scratch, x + c, w + c, to + c);
    }
}

template <typename Scalar>
void by_sources(const TensorProductProblem<Scalar> &p, int64_t begin, int64_t end, Scalar *scratch)
{
  using Wide = Vector<Scalar>;
  constexpr int L = Wide::LANES, WIDTH = TILE_VECTORS;
  const int64_t n = p.n_channels;
  for (int64_t i = 0; i < p.n_centres; i++)
    for (int64_t e = p.first_edge[i]; e < p.first_edge[i + 1]; e++) {
      contract(p, e, scratch);
      const Scalar *w = p.weights + e * p.n_paths * n, *g = p.by_sums + i * p.n_out * n;
      Scalar *to = p.by_sources + p.neighbor[e] * p.n_in * n;
      int64_t c = begin;
      for (; c + WIDTH * L <= end; c += WIDTH * L)
        by_source_tile<Wide, WIDTH>(p, scratch, w + c, g + c, to + c);
      for (; c + L <= end; c += L) by_source_tile<Wide, 1>(p, scratch, w + c, g + c, to + c);
      for (; c < end; c++) by_source_tile<Single<Scalar>, 1>(p, scratch, w + c, g + c, to + c);
    }
}

template <typename Scalar>
void by_edges(const TensorProductProblem<Scalar> &p, int64_t begin, int64_t end, Scalar *scratch)
{
  using Wide = Vector<Scalar>;
  using Type = typename Wide::Type;
  constexpr int L = Wide::LANES, WIDTH = TILE_VECTORS;
  const int64_t n = p.n_channels;
  Scalar *t = scratch, *by_t_left = t + p.n_pairs, *by_t = by_t_left + p.n_pairs;
  Scalar *by_y_left = by_t + p.n_pairs * L, *by_y = by_y_left + p.n_harmonics;
  for (int64_t i = begin; i < end; i++)
    for (int64_t e = p.first_edge[i]; e < p.first_edge[i + 1]; e++) {
      contract(p, e, t);
      for (int64_t m = 0; m < p.n_pairs * (L + 1); m++) by_t_left[m] = 0;
      for (int64_t b = 0; b < p.n_harmonics * (L + 1); b++) by_y_left[b] = 0;
      const Scalar *x = p.sources + p.neighbor[e] * p.n_in * n, *w = p.weights + e * p.n_paths * n;
      const Scalar *g = p.by_sums + i * p.n_out * n;
      Scalar *by_w = p.by_weights + e * p.n_paths * n;
      int64_t c = 0;
      for (; c + WIDTH * L <= n; c += WIDTH * L)
        by_edge_tile<Wide, WIDTH>(p, t, x + c, w + c, g + c, by_w + c, by_t);
      for (; c + L <= n; c += L) by_edge_tile<Wide, 1>(p, t, x + c, w + c, g + c, by_w + c, by_t);
      for (; c < n; c++)
        by_edge_tile<Single<Scalar>, 1>(p, t, x + c, w + c, g + c, by_w + c, by_t_left);
      // by the harmonics, still lane by lane: fewer sums over lanes than of the pairs
      for (int64_t m = 0; m < p.n_pairs; m++) {
        const Type of_pair = Wide::load(by_t + m * L);
        for (int64_t k = p.first_term[m]; k < p.first_term[m + 1]; k++) {
          const int64_t b = p.term_harmonic[k];
          Wide::store(by_y + b * L, Wide::load(by_y + b * L) + p.term_value[k] * of_pair);
          by_y_left[b] += p.term_value[k] * by_t_left[m];
        }
      }
      for (int64_t b = 0; b < p.n_harmonics; b++)
        p.by_harmonics[e * p.n_harmonics + b] =
            by_y_left[b] + Lanes<Scalar, VECTOR_BYTES>::sum(Wide::load(by_y + b * L));
    }
}

}    // namespace

template <typename Scalar> TensorProductKernels<Scalar> tensor_product_kernels()
{
  return {sums<Scalar>, by_sources<Scalar>, by_edges<Scalar>, TILE_VECTORS * Vector<Scalar>::LANES};
}

MLIP_DEFINE_LOOPS(TensorProductKernels, tensor_product_kernels)

}    // namespace MLIP_ISA
}    // namespace mlip
