// Loops of the operator mlip::polynomial, compiled once for each instruction set: see lanes.h.
//
// The coefficients of a tile of channels stay in the cache while all atoms pass.

#include "polynomial_kernel.h"

#include "lanes.h"

namespace mlip {
namespace MLIP_ISA {

namespace {

// features of an atom, one tile wide, and the 1 behind them
template <typename Lane, int WIDTH, typename Scalar>
MLIP_INLINE void extend(const PolynomialProblem<Scalar> &p, const Scalar *from, Scalar *x)
{
  using Type = typename Lane::Type;
  constexpr int L = Lane::LANES;
  for (int64_t a = 0; a < p.n_features; a++)
    for (int w = 0; w < WIDTH; w++)
      Lane::store(x + (a * WIDTH + w) * L, Lane::load(from + a * p.n_channels + w * L));
  for (int w = 0; w < WIDTH; w++)
    Lane::store(x + (p.n_features * WIDTH + w) * L, Type{} + Scalar(1));
}

template <typename Lane, int WIDTH, typename Scalar>
MLIP_INLINE void values_tile(const PolynomialProblem<Scalar> &p, int64_t begin, int64_t end,
                             int64_t c, Scalar *x)
{
  using Type = typename Lane::Type;
  constexpr int L = Lane::LANES, S = WIDTH * L;
  for (int64_t i = begin; i < end; i++) {
    extend<Lane, WIDTH>(p, p.features + i * p.n_features * p.n_channels + c, x);
    const Scalar *v = p.coefficients + p.species[i] * p.n_terms * p.n_channels + c;
    Scalar *to = p.values + i * p.n_out * p.n_channels + c;
    int64_t t = 0;
    while (t < p.n_terms) {
      const int64_t o = p.output[t];
      Type sum[WIDTH] = {};
      for (; t < p.n_terms && p.output[t] == o; t++) {
        const int64_t *f = p.factors + 3 * t;
        const Scalar *x1 = x + f[0] * S, *x2 = x + f[1] * S, *x3 = x + f[2] * S;
        for (int w = 0; w < WIDTH; w++)
          sum[w] += Lane::load(v + t * p.n_channels + w * L) * Lane::load(x1 + w * L) *
                    Lane::load(x2 + w * L) * Lane::load(x3 + w * L);
      }
      for (int w = 0; w < WIDTH; w++) Lane::store(to + o * p.n_channels + w * L, sum[w]);
    }
  }
}

template <typename Lane, int WIDTH, typename Scalar>
MLIP_INLINE void by_features_tile(const PolynomialProblem<Scalar> &p, int64_t begin, int64_t end,
                                  int64_t c, Scalar *x)
{
  using Type = typename Lane::Type;
  constexpr int L = Lane::LANES, S = WIDTH * L;
  Scalar *by_x = x + (p.n_features + 1) * S;
  for (int64_t i = begin; i < end; i++) {
    extend<Lane, WIDTH>(p, p.features + i * p.n_features * p.n_channels + c, x);
    for (int64_t a = 0; a < (p.n_features + 1) * S; a++) by_x[a] = 0;
    const Scalar *v = p.coefficients + p.species[i] * p.n_terms * p.n_channels + c;
    const Scalar *g = p.by_values + i * p.n_out * p.n_channels + c;
    for (int64_t t = 0; t < p.n_terms; t++) {
      const int64_t *f = p.factors + 3 * t;
      const Scalar *of_output = g + p.output[t] * p.n_channels;
      for (int w = 0; w < WIDTH; w++) {
        const int64_t f1 = f[0] * S + w * L, f2 = f[1] * S + w * L, f3 = f[2] * S + w * L;
        const Type carried =
            Lane::load(v + t * p.n_channels + w * L) * Lane::load(of_output + w * L);
        const Type x1 = Lane::load(x + f1), x2 = Lane::load(x + f2), x3 = Lane::load(x + f3);
        Lane::store(by_x + f1, Lane::load(by_x + f1) + carried * x2 * x3);
        Lane::store(by_x + f2, Lane::load(by_x + f2) + carried * x1 * x3);
        Lane::store(by_x + f3, Lane::load(by_x + f3) + carried * x1 * x2);
      }
    }
    Scalar *to = p.by_features + i * p.n_features * p.n_channels + c;
    for (int64_t a = 0; a < p.n_features; a++)
      for (int w = 0; w < WIDTH; w++)
        Lane::store(to + a * p.n_channels + w * L, Lane::load(by_x + (a * WIDTH + w) * L));
  }
}

template <typename Scalar>
void values(const PolynomialProblem<Scalar> &p, int64_t begin, int64_t end, Scalar *scratch)
{
  using Wide = Vector<Scalar>;
  constexpr int L = Wide::LANES, WIDTH = TILE_VECTORS;
  int64_t c = 0;
  for (; c + WIDTH * L <= p.n_channels; c += WIDTH * L)
    values_tile<Wide, WIDTH>(p, begin, end, c, scratch);
  for (; c + L <= p.n_channels; c += L) values_tile<Wide, 1>(p, begin, end, c, scratch);
  for (; c < p.n_channels; c++) values_tile<Single<Scalar>, 1>(p, begin, end, c, scratch);
}

template <typename Scalar>
void by_features(const PolynomialProblem<Scalar> &p, int64_t begin, int64_t end, Scalar *scratch)
{
  using Wide = Vector<Scalar>;
  constexpr int L = Wide::LANES, WIDTH = TILE_VECTORS;
  int64_t c = 0;
  for (; c + WIDTH * L <= p.n_channels; c += WIDTH * L)
    by_features_tile<Wide, WIDTH>(p, begin, end, c, scratch);
  for (; c + L <= p.n_channels; c += L) by_features_tile<Wide, 1>(p, begin, end, c, scratch);
  for (; c < p.n_channels; c++) by_features_tile<Single<Scalar>, 1>(p, begin, end, c, scratch);
}

}    // namespace

template <typename Scalar> PolynomialKernels<Scalar> polynomial_kernels()
{
  return {values<Scalar>, by_features<Scalar>};
}

MLIP_DEFINE_LOOPS(PolynomialKernels, polynomial_kernels)

}    // namespace MLIP_ISA
}    // namespace mlip
