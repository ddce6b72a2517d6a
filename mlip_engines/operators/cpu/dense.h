// Dense layers on blocks of rows, for the files of loops that are compiled once for each instruction set: see lanes.h.
//
// All rows of a block are padded: columns to whole vectors, feature by feature of what stands side by side in a row, and
// rows to ROWS. So no loop here has a remainder. The padding of weights is zero, that of rows is finite.

#pragma once

#include "lanes.h"

#include <cstdint>
#include <cstring>

namespace mlip {
namespace MLIP_ISA {

namespace {

constexpr int BLOCK_ROWS = 24;    // a multiple of the rows of every tile below

// Of a product of matrices this many rows and vectors of columns stay in registers: 32 of them, or 16.
constexpr int MAX_VECTORS = VECTOR_BYTES == 64 ? 4 : 3;
constexpr int tile_rows(int vectors)
{
  if (VECTOR_BYTES == 64) return vectors == 4 ? 6 : vectors == 3 ? 8 : 12;
  return 4;
}

// c[r] = bias + sum over k of a[r][k] b[k]; bias may be missing
template <int VECTORS, typename Scalar>
MLIP_INLINE void product_tile(const Scalar *a, int64_t a_width, const Scalar *b, int64_t b_width,
                              int64_t depth, const Scalar *bias, Scalar *c, int64_t c_width)
{
  using Wide = Vector<Scalar>;
  using Type = typename Wide::Type;
  constexpr int ROWS = tile_rows(VECTORS), L = Wide::LANES;
  Type sum[ROWS][VECTORS];
#pragma GCC unroll 16
  for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
    for (int w = 0; w < VECTORS; w++) sum[r][w] = bias ? Wide::load(bias + w * L) : Type{};
  for (int64_t k = 0; k < depth; k++) {
    Type row[VECTORS];
#pragma GCC unroll 4
    for (int w = 0; w < VECTORS; w++) row[w] = Wide::load(b + k * b_width + w * L);
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; r++) {
      const Scalar factor = a[r * a_width + k];
#pragma GCC unroll 4
      for (int w = 0; w < VECTORS; w++) sum[r][w] += factor * row[w];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
    for (int w = 0; w < VECTORS; w++) Wide::store(c + r * c_width + w * L, sum[r][w]);
}

template <int VECTORS, typename Scalar>
void product_columns(const Scalar *a, int64_t a_width, int64_t n_rows, const Scalar *b,
                     int64_t b_width, int64_t depth, const Scalar *bias, Scalar *c, int64_t c_width)
{
  constexpr int ROWS = tile_rows(VECTORS);
  for (int64_t r = 0; r < n_rows; r += ROWS)
    product_tile<VECTORS>(a + r * a_width, a_width, b, b_width, depth, bias, c + r * c_width,
                          c_width);
}

// the same for whole rows of c, a multiple of BLOCK_ROWS; b and c have n_columns, a has a_width of which the first depth
// count
template <typename Scalar>
void product(const Scalar *a, int64_t a_width, int64_t n_rows, const Scalar *b, int64_t depth,
             const Scalar *bias, Scalar *c, int64_t n_columns)
{
  constexpr int64_t L = Vector<Scalar>::LANES;
  int64_t left = n_columns / L;
  while (left > 0) {
    int64_t width = left < MAX_VECTORS ? left : MAX_VECTORS;
    if (MAX_VECTORS == 4 && left % 4 != 0 && left >= 3) width = 3;    // 6 = 3 + 3, 5 = 3 + 2
    if (width == 4)
      product_columns<MAX_VECTORS>(a, a_width, n_rows, b, n_columns, depth, bias, c, n_columns);
    else if (width == 3)
      product_columns<3>(a, a_width, n_rows, b, n_columns, depth, bias, c, n_columns);
    else if (width == 2)
      product_columns<2>(a, a_width, n_rows, b, n_columns, depth, bias, c, n_columns);
    else
      product_columns<1>(a, a_width, n_rows, b, n_columns, depth, bias, c, n_columns);
    b += width * L;
    c += width * L;
    if (bias) bias += width * L;
    left -= width;
  }
}

// What exp needs to know of a type of numbers: with MAGIC added, the integer part stands in the lowest bits.
template <typename Scalar> struct Bits;

template <> struct Bits<float> {
  typedef int32_t Integer;
  static constexpr int MANTISSA = 23, BIAS = 127, TERMS = 7;
  static constexpr float LARGEST = 87.0f, MAGIC = 12582912.0f;    // 1.5 * 2^23
  static constexpr float LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;
};

template <> struct Bits<double> {
  typedef int64_t Integer;
  static constexpr int MANTISSA = 52, BIAS = 1023, TERMS = 13;
  static constexpr double LARGEST = 708.0, MAGIC = 6755399441055744.0;    // 1.5 * 2^52
  static constexpr double LN2_HIGH = 6.93145751953125e-1, LN2_LOW = 1.42860682030941723212e-6;
};

// exp(x) = 2^n exp(x - n ln 2), the latter by its Taylor series; beyond +-LARGEST that of the bound
template <typename Scalar>
MLIP_INLINE typename Vector<Scalar>::Type exponential(typename Vector<Scalar>::Type x)
{
  using Type = typename Vector<Scalar>::Type;
  using B = Bits<Scalar>;
  typedef typename B::Integer Integers __attribute__((vector_size(VECTOR_BYTES)));
  const Type largest = Type{} + B::LARGEST;
  x = x > largest ? largest : x;    // a NaN stays one
  x = x < -largest ? -largest : x;
  const Type shifted = x * Scalar(1.44269504088896340736) + B::MAGIC;
  const Type n = shifted - B::MAGIC;
  const Type r = (x - n * B::LN2_HIGH) - n * B::LN2_LOW;
  Type sum = Type{} + Scalar(1);
  for (int k = B::TERMS; k > 0; k--) sum = sum * r * (Scalar(1) / Scalar(k)) + Scalar(1);
  const Integers power = ((Integers) shifted + B::BIAS) << B::MANTISSA;
  return sum * (Type) power;
}

template <typename Scalar>
MLIP_INLINE typename Vector<Scalar>::Type logistic(typename Vector<Scalar>::Type x)
{
  return Scalar(1) / (Scalar(1) + exponential<Scalar>(-x));
}

template <typename Scalar>
MLIP_INLINE typename Vector<Scalar>::Type square_root(typename Vector<Scalar>::Type x)
{
  typename Vector<Scalar>::Type result;
  for (int lane = 0; lane < Vector<Scalar>::LANES;
       lane++)    // one instruction, with -fno-math-errno
    if constexpr (sizeof(Scalar) == 4)
      result[lane] = __builtin_sqrtf(x[lane]);
    else
      result[lane] = __builtin_sqrt(x[lane]);
  return result;
}

// SiLU of n numbers, whole vectors
template <typename Scalar> MLIP_INLINE void silu(const Scalar *from, Scalar *to, int64_t n)
{
  using Wide = Vector<Scalar>;
  for (int64_t c = 0; c < n; c += Wide::LANES) {
    const typename Wide::Type x = Wide::load(from + c);
    Wide::store(to + c, x * logistic<Scalar>(x));
  }
}

// derivatives by x of SiLU(x), from those by SiLU(x), in place
template <typename Scalar> MLIP_INLINE void by_silu(const Scalar *x_of, Scalar *by, int64_t n)
{
  using Wide = Vector<Scalar>;
  for (int64_t c = 0; c < n; c += Wide::LANES) {
    const typename Wide::Type x = Wide::load(x_of + c), y = logistic<Scalar>(x);
    Wide::store(by + c, Wide::load(by + c) * y * (Scalar(1) + x * (Scalar(1) - y)));
  }
}

template <typename Scalar> constexpr int64_t padded(int64_t n)
{
  constexpr int64_t L = Vector<Scalar>::LANES;
  return (n + L - 1) / L * L;
}

template <typename Scalar> MLIP_INLINE void copy(const Scalar *from, Scalar *to, int64_t n)
{
  std::memcpy(to, from, n * sizeof(Scalar));
}

}    // namespace

}    // namespace MLIP_ISA
}    // namespace mlip
