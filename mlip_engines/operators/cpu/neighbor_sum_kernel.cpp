// Loops of the operator mlip::neighbor_sum, compiled once for each instruction set: see lanes.h.
//
// A tile of T, several rows k by one or two vectors of columns c, stays in registers while all edges of a centre pass.

#include "neighbor_sum_kernel.h"

#include "lanes.h"

namespace mlip {
namespace MLIP_ISA {

namespace {

constexpr int TILE_ROWS = 12;    // most rows in a tile

// rows k .. k + ROWS of T, one tile wide, from the edges of one centre
template <typename Lane, int ROWS, int WIDTH, typename Scalar>
MLIP_INLINE void sums_tile(const NeighborSumProblem<Scalar> &p, int64_t i, int64_t k, int64_t c)
{
  typename Lane::Type tile[ROWS][WIDTH] = {};
  for (int64_t e = p.first_edge[i]; e < p.first_edge[i + 1]; e++) {
    const Scalar *x = p.features + p.neighbor[e] * p.n_features + c;
    const Scalar *r = p.weights + e * p.n_weights + k;
    typename Lane::Type column[WIDTH];
    for (int w = 0; w < WIDTH; w++) column[w] = Lane::load(x + w * Lane::LANES);
    for (int q = 0; q < ROWS; q++)
      for (int w = 0; w < WIDTH; w++) tile[q][w] += r[q] * column[w];
  }
  Scalar *t = p.sums + (i * p.n_weights + k) * p.n_features + c;
  for (int q = 0; q < ROWS; q++)
    for (int w = 0; w < WIDTH; w++) Lane::store(t + q * p.n_features + w * Lane::LANES, tile[q][w]);
}

// what rows k .. k + ROWS of T give to the features of the neighbours of one centre
template <typename Lane, int ROWS, int WIDTH, typename Scalar>
MLIP_INLINE void features_tile(const NeighborSumProblem<Scalar> &p, int64_t i, int64_t k, int64_t c)
{
  typename Lane::Type tile[ROWS][WIDTH];
  const Scalar *t = p.sums + (i * p.n_weights + k) * p.n_features + c;
  for (int q = 0; q < ROWS; q++)
    for (int w = 0; w < WIDTH; w++) tile[q][w] = Lane::load(t + q * p.n_features + w * Lane::LANES);
  for (int64_t e = p.first_edge[i]; e < p.first_edge[i + 1]; e++) {
    Scalar *x = p.features + p.neighbor[e] * p.n_features + c;
    const Scalar *r = p.weights + e * p.n_weights + k;
    for (int w = 0; w < WIDTH; w++) {
      typename Lane::Type column = Lane::load(x + w * Lane::LANES);
      for (int q = 0; q < ROWS; q++) column += r[q] * tile[q][w];
      Lane::store(x + w * Lane::LANES, column);
    }
  }
}

// weights k .. k + ROWS of the edges of one centre
template <int ROWS, typename Scalar>
MLIP_INLINE void weights_rows(const NeighborSumProblem<Scalar> &p, int64_t i, int64_t k)
{
  using Lane = Vector<Scalar>;
  const Scalar *t = p.sums + (i * p.n_weights + k) * p.n_features;
  for (int64_t e = p.first_edge[i]; e < p.first_edge[i + 1]; e++) {
    const Scalar *x = p.features + p.neighbor[e] * p.n_features;
    typename Lane::Type products[ROWS] = {};
    Scalar rest[ROWS] = {};
    int64_t c = 0;
    for (; c + Lane::LANES <= p.n_features; c += Lane::LANES) {
      const typename Lane::Type column = Lane::load(x + c);
      for (int q = 0; q < ROWS; q++) products[q] += column * Lane::load(t + q * p.n_features + c);
    }
    for (; c < p.n_features; c++)
      for (int q = 0; q < ROWS; q++) rest[q] += x[c] * t[q * p.n_features + c];
    for (int q = 0; q < ROWS; q++) {
      p.weights[e * p.n_weights + k + q] = rest[q] + Lanes<Scalar, VECTOR_BYTES>::sum(products[q]);
    }
  }
}

// calls Work<ROWS>::run for k = 0 .. K in tiles of nearly equal height
template <template <int> class Work, typename... Arguments>
MLIP_INLINE void in_tiles_of_rows(int64_t n_rows, Arguments &...arguments)
{
  const int64_t n_tiles = (n_rows + TILE_ROWS - 1) / TILE_ROWS;
  for (int64_t tile = 0; tile < n_tiles; tile++) {
    const int64_t k = tile * n_rows / n_tiles, end = (tile + 1) * n_rows / n_tiles;
    switch (end - k) {
      case 1:
        Work<1>::run(k, arguments...);
        break;
      case 2:
        Work<2>::run(k, arguments...);
        break;
      case 3:
        Work<3>::run(k, arguments...);
        break;
      case 4:
        Work<4>::run(k, arguments...);
        break;
      case 5:
        Work<5>::run(k, arguments...);
        break;
      case 6:
        Work<6>::run(k, arguments...);
        break;
      case 7:
        Work<7>::run(k, arguments...);
        break;
      case 8:
        Work<8>::run(k, arguments...);
        break;
      case 9:
        Work<9>::run(k, arguments...);
        break;
      case 10:
        Work<10>::run(k, arguments...);
        break;
      case 11:
        Work<11>::run(k, arguments...);
        break;
      default:
        Work<12>::run(k, arguments...);
    }
  }
}

template <int ROWS> struct SumsOfRows {
  template <typename Scalar>
  static void run(int64_t k, const NeighborSumProblem<Scalar> &p, int64_t begin, int64_t end)
  {
    constexpr int LANES = Vector<Scalar>::LANES;
    for (int64_t i = begin; i < end; i++) {
      int64_t c = 0;
      for (; c + TILE_VECTORS * LANES <= p.n_features; c += TILE_VECTORS * LANES)
        sums_tile<Vector<Scalar>, ROWS, TILE_VECTORS>(p, i, k, c);
      for (; c + LANES <= p.n_features; c += LANES) sums_tile<Vector<Scalar>, ROWS, 1>(p, i, k, c);
      for (; c < p.n_features; c++) sums_tile<Single<Scalar>, ROWS, 1>(p, i, k, c);
    }
  }
};

template <int ROWS> struct FeaturesOfRows {
  template <typename Scalar>
  static void run(int64_t k, const NeighborSumProblem<Scalar> &p, int64_t begin, int64_t end)
  {
    constexpr int LANES = Vector<Scalar>::LANES;
    for (int64_t i = 0; i < p.n_atoms; i++) {
      int64_t c = begin;
      for (; c + TILE_VECTORS * LANES <= end; c += TILE_VECTORS * LANES)
        features_tile<Vector<Scalar>, ROWS, TILE_VECTORS>(p, i, k, c);
      for (; c + LANES <= end; c += LANES) features_tile<Vector<Scalar>, ROWS, 1>(p, i, k, c);
      for (; c < end; c++) features_tile<Single<Scalar>, ROWS, 1>(p, i, k, c);
    }
  }
};

template <int ROWS> struct WeightsOfRows {
  template <typename Scalar>
  static void run(int64_t k, const NeighborSumProblem<Scalar> &p, int64_t begin, int64_t end)
  {
    for (int64_t i = begin; i < end; i++) weights_rows<ROWS>(p, i, k);
  }
};

template <typename Scalar>
void sums(const NeighborSumProblem<Scalar> &p, int64_t begin, int64_t end)
{
  in_tiles_of_rows<SumsOfRows>(p.n_weights, p, begin, end);
}

template <typename Scalar>
void weights(const NeighborSumProblem<Scalar> &p, int64_t begin, int64_t end)
{
  in_tiles_of_rows<WeightsOfRows>(p.n_weights, p, begin, end);
}

template <typename Scalar>
void features(const NeighborSumProblem<Scalar> &p, int64_t begin, int64_t end)
{
  in_tiles_of_rows<FeaturesOfRows>(p.n_weights, p, begin, end);
}

}    // namespace

template <typename Scalar> NeighborSumKernels<Scalar> neighbor_sum_kernels()
{
  return {sums<Scalar>, weights<Scalar>, features<Scalar>, TILE_VECTORS * Vector<Scalar>::LANES};
}

MLIP_DEFINE_LOOPS(NeighborSumKernels, neighbor_sum_kernels)

}    // namespace MLIP_ISA
}    // namespace mlip
