// Loops of the operator mlip::bessel_edges, compiled once for each instruction set: see lanes.h. A lane is an edge.

#include "bessel_edges_kernel.h"

#include "lanes.h"

namespace mlip {
namespace MLIP_ISA {

namespace {

constexpr double PI = 3.14159265358979323846;

// Sine and cosine between 0 and pi, by the Taylor series of the other one around pi / 2.
template <typename Scalar>
MLIP_INLINE void sine_and_cosine(typename Vector<Scalar>::Type x,
                                 typename Vector<Scalar>::Type &sine,
                                 typename Vector<Scalar>::Type &cosine)
{
  constexpr int TERMS = sizeof(Scalar) == 4 ? 7 : 11;    // up to y^14 or y^22
  const auto y = x - Scalar(PI / 2), negative = -y * y;
  auto even = y * 0 + Scalar(1), odd = even;
  for (int k = TERMS; k > 0; k--) {
    even = Scalar(1) + even * negative * Scalar(1.0 / ((2 * k - 1) * (2 * k)));
    odd = Scalar(1) + odd * negative * Scalar(1.0 / ((2 * k) * (2 * k + 1)));
  }
  sine = even;
  cosine = -y * odd;
}

template <typename Scalar>
MLIP_INLINE typename Vector<Scalar>::Type root(typename Vector<Scalar>::Type x)
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

// what both loops need of as many edges as there are lanes; lanes too many repeat the last edge
template <typename Scalar> struct Lengths {
  using Type = typename Vector<Scalar>::Type;
  static constexpr int L = Vector<Scalar>::LANES;
  Type u[3], r, inverse, sine, cosine, envelope, x;

  MLIP_INLINE Lengths(const BesselProblem<Scalar> &p, int64_t e, int64_t end)
  {
    Scalar v[3][L];
    for (int lane = 0; lane < L; lane++) {
      const int64_t near = e + lane < end ? e + lane : end - 1;
      for (int d = 0; d < 3; d++) v[d][lane] = p.vectors[3 * p.edge[near] + d];
    }
    for (int d = 0; d < 3; d++) u[d] = Vector<Scalar>::load(v[d]);
    r = root<Scalar>(u[0] * u[0] + u[1] * u[1] + u[2] * u[2]);
    inverse = Scalar(1) / r;
    for (int d = 0; d < 3; d++) u[d] *= inverse;
    x = r / p.cutoff;
    sine_and_cosine<Scalar>(x * Scalar(PI), sine, cosine);
    const Type x_2 = x * x;
    envelope = Scalar(1) - x_2 * x_2 * x_2 * (Scalar(28) - Scalar(48) * x + Scalar(21) * x_2);
  }
};

template <typename Scalar> Scalar normalisation(const BesselProblem<Scalar> &p)
{
  return __builtin_sqrt(2.0 / p.cutoff);
}

template <typename Scalar>
void radial_of(const BesselProblem<Scalar> &p, int64_t begin, int64_t end)
{
  using Type = typename Vector<Scalar>::Type;
  constexpr int L = Vector<Scalar>::LANES;
  const Scalar norm = normalisation(p);
  for (int64_t e = begin; e < end; e += L) {
    const Lengths<Scalar> edges(p, e, end);
    const int n = e + L <= end ? L : end - e;
    const Type factor = norm * edges.envelope * edges.inverse;
    Type sine = edges.sine, cosine = edges.cosine;
    for (int64_t k = 0; k < p.n_basis; k++) {    // from one multiple of the angle to the next
      const Type value = factor * sine;
      for (int lane = 0; lane < n; lane++) p.radial[(e + lane) * p.n_basis + k] = value[lane];
      const Type next = sine * edges.cosine + cosine * edges.sine;
      cosine = cosine * edges.cosine - sine * edges.sine;
      sine = next;
    }
    for (int d = 0; d < 3; d++)
      for (int lane = 0; lane < n; lane++) p.unit[(e + lane) * 3 + d] = edges.u[d][lane];
  }
}

template <typename Scalar>
void by_vectors_of(const BesselProblem<Scalar> &p, int64_t begin, int64_t end)
{
  using Type = typename Vector<Scalar>::Type;
  constexpr int L = Vector<Scalar>::LANES;
  const Scalar norm = normalisation(p), a = Scalar(PI) / p.cutoff;
  for (int64_t e = begin; e < end; e += L) {
    const Lengths<Scalar> edges(p, e, end);
    const int n = e + L <= end ? L : end - e;
    const Type &x = edges.x, x_2 = x * x;
    // f(x) / r and its derivative by r; f' = -168 x^5 (1 - x)^2
    const Type factor = norm * edges.envelope * edges.inverse, rest = Scalar(1) - x;
    const Type slope = norm * Scalar(-168) * x_2 * x_2 * x * rest * rest / p.cutoff;
    const Type of_sine = (slope - factor) * edges.inverse;
    Type sine = edges.sine, cosine = edges.cosine, by_r = {};
    for (int64_t k = 0; k < p.n_basis; k++) {
      Type g = {};
      for (int lane = 0; lane < n; lane++) g[lane] = p.by_radial[(e + lane) * p.n_basis + k];
      by_r += g * (of_sine * sine + factor * (a * Scalar(k + 1)) * cosine);
      const Type next = sine * edges.cosine + cosine * edges.sine;
      cosine = cosine * edges.cosine - sine * edges.sine;
      sine = next;
    }
    Type g[3] = {};
    for (int d = 0; d < 3; d++)
      for (int lane = 0; lane < n; lane++) g[d][lane] = p.by_unit[(e + lane) * 3 + d];
    const Type along = edges.u[0] * g[0] + edges.u[1] * g[1] + edges.u[2] * g[2];
    for (int d = 0; d < 3; d++) {
      const Type by = edges.u[d] * by_r + (g[d] - edges.u[d] * along) * edges.inverse;
      for (int lane = 0; lane < n; lane++) p.by_vectors[3 * p.edge[e + lane] + d] = by[lane];
    }
  }
}

}    // namespace

template <typename Scalar> BesselKernels<Scalar> bessel_kernels()
{
  return {radial_of<Scalar>, by_vectors_of<Scalar>};
}

MLIP_DEFINE_LOOPS(BesselKernels, bessel_kernels)

}    // namespace MLIP_ISA
}    // namespace mlip
