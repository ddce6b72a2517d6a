// Loops of the operators on the features of one atom, compiled once for each instruction set: see lanes.h.
//
// A block of atoms passes through all of an operator before the next one comes, so what is between its layers stays in
// the cache. In a block, a row belongs to an atom, or to a component of the vectors of an atom.

#include "atom_blocks_kernel.h"

#include "dense.h"

#include <cstdlib>

namespace mlip {
namespace MLIP_ISA {

namespace {

// memory for rows of a block, zero at first; new of the standard library would be shared with other files (see lanes.h)
template <typename Scalar> class Rows {
 public:
  explicit Rows(int64_t width) : next(nullptr)
  {
    memory = static_cast<char *>(std::calloc(BLOCK_ROWS * width * sizeof(Scalar) + 64, 1));
    if (!memory) __builtin_trap();
    next = reinterpret_cast<Scalar *>((reinterpret_cast<uintptr_t>(memory) + 63) / 64 * 64);
  }
  ~Rows() { std::free(memory); }
  Rows(const Rows &) = delete;
  Rows &operator=(const Rows &) = delete;

  Scalar *take(int64_t width)
  {
    Scalar *rows = next;
    next += BLOCK_ROWS * width;
    return rows;
  }

 private:
  char *memory;
  Scalar *next;
};

MLIP_INLINE int64_t at_most_block(int64_t rest)
{
  return rest < BLOCK_ROWS ? rest : BLOCK_ROWS;
}

// to = x + y
template <typename Scalar>
MLIP_INLINE void add(const Scalar *x, const Scalar *y, Scalar *to, int64_t n)
{
  using Wide = Vector<Scalar>;
  int64_t c = 0;
  for (; c + Wide::LANES <= n; c += Wide::LANES)
    Wide::store(to + c, Wide::load(x + c) + Wide::load(y + c));
  for (; c < n; c++) to[c] = x[c] + y[c];
}

template <typename Scalar> MLIP_INLINE typename Vector<Scalar>::Type load(const Scalar *from)
{
  return Vector<Scalar>::load(from);
}

template <typename Scalar> MLIP_INLINE void store(Scalar *to, typename Vector<Scalar>::Type value)
{
  Vector<Scalar>::store(to, value);
}

template <typename Scalar>
void sources_of(const SourcesProblem<Scalar> &p, int64_t begin, int64_t end)
{
  const int64_t f = p.n_features, w = padded<Scalar>(f), n_phi = p.second.n_outputs;
  const int64_t n_columns = (p.has_vectors ? 5 : 2) * f;
  Rows<Scalar> rows(2 * w + n_phi + w);
  Scalar *s = rows.take(w), *h = rows.take(w), *phi = rows.take(n_phi), *row = rows.take(w);
  for (int64_t k = begin; k < end; k++) {
    const int64_t first = k * BLOCK_ROWS, n = at_most_block(p.n_atoms - first);
    for (int64_t b = 0; b < n; b++) copy(p.s + (first + b) * f, s + b * w, f);
    product(s, w, BLOCK_ROWS, p.first.weights, w, p.first.bias, h, w);
    if (p.saved)
      for (int64_t b = 0; b < n; b++) copy(h + b * w, p.saved + (first + b) * 2 * w, w);
    silu(h, h, BLOCK_ROWS * w);
    product(h, w, BLOCK_ROWS, p.second.weights, w, p.second.bias, phi, n_phi);
    for (int64_t b = 0; b < n; b++) {
      const Scalar *of_s = phi + b * n_phi, *of_a = of_s + w, *of_v = of_s + 2 * w;
      Scalar *to = p.sources + (first + b) * n_columns;
      copy(of_s, to, f);
      copy(of_a, to + f, f);
      if (!p.has_vectors) continue;
      if (p.saved) copy(of_v, p.saved + (first + b) * 2 * w + w, w);
      for (int d = 0; d < 3; d++) {
        copy(p.v + ((first + b) * 3 + d) * f, row, f);
        for (int64_t c = 0; c < w; c += Vector<Scalar>::LANES)
          store(row + c, load(row + c) * load(of_v + c));
        copy(row, to + (2 + d) * f, f);
      }
    }
  }
}

template <typename Scalar>
void by_sources_of(const SourcesProblem<Scalar> &p, int64_t begin, int64_t end)
{
  constexpr int64_t L = Vector<Scalar>::LANES;
  const int64_t f = p.n_features, w = padded<Scalar>(f), n_phi = p.second.n_outputs;
  const int64_t n_columns = (p.has_vectors ? 5 : 2) * f;
  Rows<Scalar> rows(n_phi + 4 * w);
  Scalar *by_phi = rows.take(n_phi), *by_h = rows.take(w), *by_s = rows.take(w);
  Scalar *v = rows.take(w), *g = rows.take(w);
  for (int64_t k = begin; k < end; k++) {
    const int64_t first = k * BLOCK_ROWS, n = at_most_block(p.n_atoms - first);
    for (int64_t b = 0; b < n; b++) {
      const Scalar *by = p.by_sources + (first + b) * n_columns;
      Scalar *to = by_phi + b * n_phi;
      copy(by, to, f);
      copy(by + f, to + w, f);
      if (!p.has_vectors) continue;
      const Scalar *factor = p.saved + (first + b) * 2 * w + w;
      std::memset(to + 2 * w, 0, w * sizeof(Scalar));
      for (int d = 0; d < 3; d++) {
        copy(p.v + ((first + b) * 3 + d) * f, v, f);
        copy(by + (2 + d) * f, g, f);
        for (int64_t c = 0; c < w; c += L) {
          store(to + 2 * w + c, load(to + 2 * w + c) + load(v + c) * load(g + c));
          store(g + c, load(g + c) * load(factor + c));
        }
        copy(g, p.by_v + ((first + b) * 3 + d) * f, f);
      }
    }
    product(by_phi, n_phi, BLOCK_ROWS, p.second.backward, n_phi, (const Scalar *) nullptr, by_h, w);
    for (int64_t b = 0; b < n; b++) by_silu(p.saved + (first + b) * 2 * w, by_h + b * w, w);
    product(by_h, w, BLOCK_ROWS, p.first.backward, w, (const Scalar *) nullptr, by_s, w);
    for (int64_t b = 0; b < n; b++) copy(by_s + b * w, p.by_s + (first + b) * f, f);
  }
}

// norms of the second half of the rows uv, three to an atom, w wide
template <typename Scalar>
MLIP_INLINE void norm_of(const Scalar *of_v, int64_t stride, Scalar squared_width, Scalar *to,
                         int64_t w)
{
  for (int64_t c = 0; c < w; c += Vector<Scalar>::LANES) {
    const auto x = load(of_v + c), y = load(of_v + stride + c), z = load(of_v + 2 * stride + c);
    store(to + c, square_root<Scalar>(x * x + y * y + z * z + squared_width));
  }
}

template <typename Scalar>
void update_of(const UpdateProblem<Scalar> &p, int64_t begin, int64_t end)
{
  constexpr int64_t L = Vector<Scalar>::LANES;
  const int64_t f = p.n_features, w = padded<Scalar>(f), n_saved = 11 * w;
  Rows<Scalar> rows(15 * w);
  Scalar *sq = rows.take(2 * w), *v = rows.take(3 * w), *uv = rows.take(6 * w);
  Scalar *h = rows.take(w), *a = rows.take(3 * w);
  for (int64_t k = begin; k < end; k++) {
    const int64_t first = k * BLOCK_ROWS, n = at_most_block(p.n_atoms - first);
    for (int64_t b = 0; b < n; b++) {
      const Scalar *message = p.messages + (first + b) * 4 * f;
      add(p.s + (first + b) * f, message, sq + b * 2 * w, f);
      for (int d = 0; d < 3; d++)
        add(p.v + ((first + b) * 3 + d) * f, message + (1 + d) * f, v + (b * 3 + d) * w, f);
    }
    product(v, w, 3 * BLOCK_ROWS, p.vectors.weights, w, (const Scalar *) nullptr, uv, 2 * w);
    for (int64_t b = 0; b < n; b++)
      norm_of(uv + b * 6 * w + w, 2 * w, p.squared_width, sq + b * 2 * w + w, w);
    product(sq, 2 * w, BLOCK_ROWS, p.first.weights, 2 * w, p.first.bias, h, w);
    if (p.saved)
      for (int64_t b = 0; b < n; b++) {
        Scalar *to = p.saved + (first + b) * n_saved;
        copy(uv + b * 6 * w, to, 6 * w);
        copy(sq + b * 2 * w + w, to + 6 * w, w);
        copy(h + b * w, to + 7 * w, w);
      }
    silu(h, h, BLOCK_ROWS * w);
    product(h, w, BLOCK_ROWS, p.second.weights, w, p.second.bias, a, 3 * w);
    for (int64_t b = 0; b < n; b++) {
      const Scalar *u = uv + b * 6 * w, *a_vv = a + b * 3 * w, *a_sv = a_vv + w, *a_ss = a_sv + w;
      Scalar *of_s = sq + b * 2 * w, *of_v = v + b * 3 * w;
      if (p.saved) copy(a_vv, p.saved + (first + b) * n_saved + 8 * w, 3 * w);
      for (int64_t c = 0; c < w; c += L) {
        typename Vector<Scalar>::Type dot = {};
        const auto gate = load(a_vv + c);
        for (int d = 0; d < 3; d++) {
          const auto u_d = load(u + d * 2 * w + c);
          dot += u_d * load(u + d * 2 * w + w + c);
          store(of_v + d * w + c, load(of_v + d * w + c) + gate * u_d);
        }
        store(of_s + c, load(of_s + c) + load(a_ss + c) + load(a_sv + c) * dot);
      }
      copy(of_s, p.new_s + (first + b) * f, f);
      for (int d = 0; d < 3; d++) copy(of_v + d * w, p.new_v + ((first + b) * 3 + d) * f, f);
    }
  }
}

template <typename Scalar>
void by_update_of(const UpdateProblem<Scalar> &p, int64_t begin, int64_t end)
{
  constexpr int64_t L = Vector<Scalar>::LANES;
  const int64_t f = p.n_features, w = padded<Scalar>(f), n_saved = 11 * w;
  const Scalar *none = nullptr;
  Rows<Scalar> rows(19 * w);
  Scalar *g_s = rows.take(w), *g_v = rows.take(3 * w), *by_a = rows.take(3 * w);
  Scalar *by_h = rows.take(w), *by_sq = rows.take(2 * w), *by_uv = rows.take(6 * w);
  Scalar *by_v = rows.take(3 * w);
  for (int64_t k = begin; k < end; k++) {
    const int64_t first = k * BLOCK_ROWS, n = at_most_block(p.n_atoms - first);
    for (int64_t b = 0; b < n; b++) {
      const Scalar *uv = p.saved + (first + b) * n_saved;
      Scalar *s_b = g_s + b * w, *v_b = g_v + b * 3 * w, *a_b = by_a + b * 3 * w;
      copy(p.by_new_s + (first + b) * f, s_b, f);
      for (int d = 0; d < 3; d++) copy(p.by_new_v + ((first + b) * 3 + d) * f, v_b + d * w, f);
      for (int64_t c = 0; c < w; c += L) {
        typename Vector<Scalar>::Type dot = {}, by_gate = {};
        for (int d = 0; d < 3; d++) {
          const auto u_d = load(uv + d * 2 * w + c);
          dot += u_d * load(uv + d * 2 * w + w + c);
          by_gate += u_d * load(v_b + d * w + c);
        }
        const auto by_s = load(s_b + c);
        store(a_b + c, by_gate);
        store(a_b + w + c, by_s * dot);
        store(a_b + 2 * w + c, by_s);
      }
    }
    product(by_a, 3 * w, BLOCK_ROWS, p.second.backward, 3 * w, none, by_h, w);
    for (int64_t b = 0; b < n; b++)
      by_silu(p.saved + (first + b) * n_saved + 7 * w, by_h + b * w, w);
    product(by_h, w, BLOCK_ROWS, p.first.backward, w, none, by_sq, 2 * w);
    for (int64_t b = 0; b < n; b++) {
      const Scalar *uv = p.saved + (first + b) * n_saved, *norm = uv + 6 * w, *a = uv + 8 * w;
      const Scalar *s_b = g_s + b * w, *v_b = g_v + b * 3 * w, *by_norm = by_sq + b * 2 * w + w;
      Scalar *uv_b = by_uv + b * 6 * w;
      for (int64_t c = 0; c < w; c += L) {
        const auto gate = load(a + c), by_dot = load(s_b + c) * load(a + w + c);
        const auto along = load(by_norm + c) / load(norm + c);
        for (int d = 0; d < 3; d++) {
          const auto u_d = load(uv + d * 2 * w + c), v_d = load(uv + d * 2 * w + w + c);
          store(uv_b + d * 2 * w + c, gate * load(v_b + d * w + c) + by_dot * v_d);
          store(uv_b + d * 2 * w + w + c, by_dot * u_d + along * v_d);
        }
      }
    }
    product(by_uv, 2 * w, 3 * BLOCK_ROWS, p.vectors.backward, 2 * w, none, by_v, w);
    for (int64_t b = 0; b < n; b++) {
      add(g_s + b * w, by_sq + b * 2 * w, p.by_s + (first + b) * f, f);
      for (int d = 0; d < 3; d++)
        add(g_v + (b * 3 + d) * w, by_v + (b * 3 + d) * w, p.by_v + ((first + b) * 3 + d) * f, f);
    }
  }
}

template <typename Scalar> void gated_of(const GatedProblem<Scalar> &p, int64_t begin, int64_t end)
{
  constexpr int64_t L = Vector<Scalar>::LANES;
  const int64_t f = p.n_features, w = padded<Scalar>(f);
  const int64_t o = p.n_out, x = padded<Scalar>(o);    // x: O padded
  Rows<Scalar> rows(w + x + 3 * w + 6 * x + w + 2 * x + x);
  Scalar *sq = rows.take(w + x), *v = rows.take(3 * w), *uv = rows.take(6 * x);
  Scalar *h = rows.take(w), *out = rows.take(2 * x), *row = rows.take(x);
  for (int64_t k = begin; k < end; k++) {
    const int64_t first = k * BLOCK_ROWS, n = at_most_block(p.n_atoms - first);
    for (int64_t b = 0; b < n; b++) {
      copy(p.s + (first + b) * f, sq + b * (w + x), f);
      for (int d = 0; d < 3; d++) copy(p.v + ((first + b) * 3 + d) * f, v + (b * 3 + d) * w, f);
    }
    product(v, w, 3 * BLOCK_ROWS, p.vectors.weights, w, (const Scalar *) nullptr, uv, 2 * x);
    for (int64_t b = 0; b < n; b++)
      norm_of(uv + b * 6 * x, 2 * x, p.squared_width, sq + b * (w + x) + w, x);
    product(sq, w + x, BLOCK_ROWS, p.first.weights, w + x, p.first.bias, h, w);
    silu(h, h, BLOCK_ROWS * w);
    product(h, w, BLOCK_ROWS, p.second.weights, w, p.second.bias, out, 2 * x);
    for (int64_t b = 0; b < n; b++) {
      Scalar *of_s = out + b * 2 * x, *gate = of_s + x;
      silu(of_s, of_s, x);
      copy(of_s, p.new_s + (first + b) * o, o);
      for (int d = 0; d < 3; d++) {
        const Scalar *second = uv + (b * 3 + d) * 2 * x + x;
        for (int64_t c = 0; c < x; c += L) store(row + c, load(gate + c) * load(second + c));
        copy(row, p.new_v + ((first + b) * 3 + d) * o, o);
      }
    }
  }
}

}    // namespace

template <typename Scalar> AtomBlockKernels<Scalar> atom_block_kernels()
{
  return {sources_of<Scalar>, by_sources_of<Scalar>, update_of<Scalar>, by_update_of<Scalar>,
          gated_of<Scalar>,   Vector<Scalar>::LANES, BLOCK_ROWS};
}

MLIP_DEFINE_LOOPS(AtomBlockKernels, atom_block_kernels)

}    // namespace MLIP_ISA
}    // namespace mlip
