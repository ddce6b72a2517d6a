// The operators mlip::message_sources, mlip::equivariant_update and mlip::gated_vectors: what PaiNN makes of the features
// of each atom on its own (arXiv:2102.03150, figures 2b, 2c and 3). With dense layers W x + b, for every feature:
//
//   sources   (p_s, p_v, p_a) = W_2 silu(W_1 s + b_1) + b_2;  S = p_s, A = p_a, V[d] = p_v v[d]
//   update    s = s + m_s, v = v + m_v;  (U, V)[d] = W v[d];  q = sqrt(sum_d V[d]^2 + width^2)
//             (a_vv, a_sv, a_ss) = W_2 silu(W_1 (s, q) + b_1) + b_2
//             s' = s + a_ss + a_sv sum_d U[d] V[d];  v'[d] = v[d] + a_vv U[d]
//   gated     (U, V)[d] = W v[d];  q = sqrt(sum_d U[d]^2 + width^2);  (t, g) = W_2 silu(W_1 (s, q) + b_1) + b_2
//             s' = silu(t);  v'[d] = g V[d]
//
// The first derivatives by the features have loops; others, and those by weights, are those of the same formulas composed
// of torch's operators.

#include "atom_blocks_kernel.h"
#include "packed_layers.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <sstream>
#include <tuple>
#include <vector>

namespace mlip {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

namespace {

template <typename Scalar> int64_t padded_to_lanes(int64_t n)
{
  const int64_t lanes = fastest_atom_block_kernels<Scalar>().lanes;
  return (n + lanes - 1) / lanes * lanes;
}

// runs a loop over blocks of atoms; a block is work enough to share
template <typename Problem>
void over_blocks(const Problem &p, int64_t block, AtomLoop<Problem> loop)
{
  at::parallel_for(0, (p.n_atoms + block - 1) / block, 1,
                   [&](int64_t begin, int64_t end) { loop(p, begin, end); });
}

// what a check says is expected, and where it is
void check(bool is_right, const char *name, const char *expected, const variable_list &got)
{
  if (is_right) return;
  std::ostringstream sizes;
  for (const Tensor &x : got) sizes << " " << x.sizes();
  TORCH_CHECK(false, "mlip::", name, ": expected ", expected, ", got", sizes.str());
}

void check_types(const char *name, const variable_list &all)
{
  for (const Tensor &x : all)
    TORCH_CHECK(x.scalar_type() == all[0].scalar_type() && x.is_cpu(), "mlip::", name,
                ": expected all arguments of one type, got ", all[0].scalar_type(), " and ",
                x.scalar_type());
}

bool has_shape(const Tensor &x, at::IntArrayRef shape)
{
  return x.sizes() == shape;
}

// arguments first, the weights from a position on
bool needs_composed(const variable_list &all, size_t first_weight)
{
  for (size_t k = first_weight; k < all.size(); k++)
    if (all[k].requires_grad()) return true;
  return false;
}

bool is_differentiated(const variable_list &all)
{
  if (!at::GradMode::is_enabled()) return false;
  for (const Tensor &x : all)
    if (x.requires_grad()) return true;
  return false;
}

// derivatives of a composed form by the first n_wanted arguments, which can themselves be differentiated
variable_list through_composed(const std::function<variable_list(const variable_list &)> &composed,
                               const variable_list &arguments, size_t n_wanted,
                               const variable_list &gradients, AutogradContext *context)
{
  const bool again = at::GradMode::is_enabled();
  at::AutoGradMode enabled(true);
  // Aliases: one argument may have been computed from another, which is not what is asked here.
  variable_list alias, wanted;
  std::vector<size_t> positions;
  for (const Tensor &x : arguments) alias.push_back(x.alias());
  for (size_t k = 0; k < n_wanted; k++)
    if (context->needs_input_grad(k)) {
      wanted.push_back(alias[k]);
      positions.push_back(k);
    }
  const auto found = torch::autograd::grad(composed(alias), wanted, gradients, again, again, true);
  variable_list result(n_wanted);
  for (size_t k = 0; k < positions.size(); k++) result[positions[k]] = found[k];
  return result;
}

// of the outputs of an operator some may not have been used
variable_list filled(variable_list gradients, const variable_list &like)
{
  for (size_t k = 0; k < like.size(); k++)
    if (!gradients[k].defined()) gradients[k] = at::zeros_like(like[k]);
  return gradients;
}

// --- sources of messages ---

// arguments: s, v, W_1, b_1, W_2, b_2
Tensor composed_sources(const variable_list &x, bool has_vectors)
{
  const Tensor phi = at::linear(at::silu(at::linear(x[0], x[2], x[3])), x[4], x[5]);
  const auto part = phi.chunk(3, 1);
  if (!has_vectors) return at::cat({part[0], part[2]}, 1);
  return at::cat({part[0], part[2], (part[1].unsqueeze(1) * x[1]).flatten(1)}, 1);
}

void check_sources(const variable_list &x)
{
  const Tensor &s = x[0];
  const int64_t n = s.dim() == 2 ? s.size(0) : -1, f = s.dim() == 2 ? s.size(1) : -1;
  check(s.dim() == 2 && has_shape(x[1], {n, 3, f}) && has_shape(x[2], {f, f}) &&
            has_shape(x[3], {f}) && has_shape(x[4], {3 * f, f}) && has_shape(x[5], {3 * f}),
        "message_sources", "(n, F), (n, 3, F), (F, F), (F,), (3 F, F) and (3 F,)", x);
  check_types("message_sources", x);
}

Parts sources_parts(int64_t f, bool has_vectors)
{
  if (has_vectors) return {{0, f}, {2 * f, f}, {f, f}};    // S, A, the factor of v
  return {{0, f}, {2 * f, f}};
}

// Rows of s (n, F) that differ (m,), and which of them each row is (n,); nothing if they are many. In the first layer
// there is one for each element.
std::pair<Tensor, Tensor> distinct_rows(const Tensor &s)
{
  constexpr int64_t FEW = 8;
  const int64_t n = s.size(0);
  const size_t bytes = s.size(1) * s.element_size();
  const char *row = static_cast<const char *>(s.const_data_ptr());
  std::vector<int64_t> found, which(n);
  for (int64_t i = 0; i < n; i++) {
    size_t k = 0;
    while (k < found.size() && std::memcmp(row + found[k] * bytes, row + i * bytes, bytes) != 0)
      k++;
    if (k == found.size()) {
      if (k == FEW) return {};
      found.push_back(i);
    }
    which[i] = k;
  }
  if (4 * static_cast<int64_t>(found.size()) >= n) return {};
  return {at::tensor(found, at::kLong), at::tensor(which, at::kLong)};
}

Tensor sources_of(const variable_list &x, bool has_vectors, Tensor *saved)
{
  const Tensor s = x[0].contiguous(), v = x[1].contiguous();
  const int64_t n = s.size(0), f = s.size(1);
  if (!has_vectors && !saved) {
    const auto [rows, which] = distinct_rows(s);
    if (rows.defined()) {
      variable_list few = x;
      few[0] = s.index_select(0, rows);
      few[1] = v.narrow(0, 0, rows.size(0));    // which nobody reads
      return sources_of(few, false, nullptr).index_select(0, which);
    }
  }
  Tensor result = at::empty({n, (has_vectors ? 5 : 2) * f}, s.options());
  AT_DISPATCH_FLOATING_TYPES(s.scalar_type(), "mlip::message_sources", [&] {
    const auto kernels = fastest_atom_block_kernels<scalar_t>();
    const auto first = packed<scalar_t>(x[2], x[3], {{0, f}}, {{0, f}}, kernels.lanes, false);
    const auto second =
        packed<scalar_t>(x[4], x[5], {{0, f}}, sources_parts(f, has_vectors), kernels.lanes, false);
    SourcesProblem<scalar_t> p = {};
    p.n_atoms = n;
    p.n_features = f;
    p.has_vectors = has_vectors;
    p.s = s.const_data_ptr<scalar_t>();
    p.v = v.const_data_ptr<scalar_t>();
    p.first = first->layer;
    p.second = second->layer;
    p.sources = result.mutable_data_ptr<scalar_t>();
    if (saved) {
      *saved = at::empty({n, 2 * padded_to_lanes<scalar_t>(f)}, s.options());
      p.saved = saved->mutable_data_ptr<scalar_t>();
    }
    over_blocks(p, kernels.block, kernels.sources);
  });
  return result;
}

std::pair<Tensor, Tensor> by_sources_of(const variable_list &x, bool has_vectors, Tensor saved,
                                        const Tensor &gradient)
{
  const Tensor v = x[1].contiguous(), g = gradient.contiguous();
  const int64_t n = x[0].size(0), f = x[0].size(1);
  Tensor by_s = at::empty({n, f}, g.options());
  Tensor by_v = has_vectors ? at::empty({n, 3, f}, g.options()) : at::zeros({n, 3, f}, g.options());
  AT_DISPATCH_FLOATING_TYPES(g.scalar_type(), "mlip::message_sources", [&] {
    const auto kernels = fastest_atom_block_kernels<scalar_t>();
    const auto first = packed<scalar_t>(x[2], {}, {{0, f}}, {{0, f}}, kernels.lanes, true);
    const auto second =
        packed<scalar_t>(x[4], {}, {{0, f}}, sources_parts(f, has_vectors), kernels.lanes, true);
    SourcesProblem<scalar_t> p = {};
    p.n_atoms = n;
    p.n_features = f;
    p.has_vectors = has_vectors;
    p.v = v.const_data_ptr<scalar_t>();
    p.first = first->layer;
    p.second = second->layer;
    p.saved = saved.mutable_data_ptr<scalar_t>();
    p.by_sources = g.const_data_ptr<scalar_t>();
    p.by_s = by_s.mutable_data_ptr<scalar_t>();
    p.by_v = by_v.mutable_data_ptr<scalar_t>();
    over_blocks(p, kernels.block, kernels.by_sources);
  });
  return {by_s, by_v};
}

struct Sources : Function<Sources> {
  static Tensor forward(AutogradContext *context, const Tensor &s, const Tensor &v,
                        const Tensor &w_1, const Tensor &b_1, const Tensor &w_2, const Tensor &b_2,
                        bool has_vectors)
  {
    at::AutoDispatchBelowADInplaceOrView below;
    Tensor saved;
    const Tensor result = sources_of({s, v, w_1, b_1, w_2, b_2}, has_vectors, &saved);
    context->save_for_backward({s, v, w_1, b_1, w_2, b_2, saved});
    context->saved_data["has_vectors"] = has_vectors;
    return result;
  }

  static variable_list backward(AutogradContext *context, const variable_list &gradients)
  {
    variable_list x = context->get_saved_variables();
    const Tensor saved = x.back();
    x.pop_back();
    const bool has_vectors = context->saved_data["has_vectors"].toBool();
    variable_list result;
    if (at::GradMode::is_enabled()) {
      result = through_composed(
          [&](const variable_list &y) { return variable_list{composed_sources(y, has_vectors)}; },
          x, 2, gradients, context);
    } else {
      const auto [by_s, by_v] = by_sources_of(x, has_vectors, saved, gradients[0]);
      result = {by_s, has_vectors ? by_v : Tensor()};
    }
    result.resize(7);
    return result;
  }
};

Tensor message_sources(const Tensor &s, const Tensor &v, const Tensor &w_1, const Tensor &b_1,
                       const Tensor &w_2, const Tensor &b_2, bool has_vectors)
{
  const variable_list x = {s, v, w_1, b_1, w_2, b_2};
  check_sources(x);
  return sources_of(x, has_vectors, nullptr);
}

Tensor message_sources_with_gradient(const Tensor &s, const Tensor &v, const Tensor &w_1,
                                     const Tensor &b_1, const Tensor &w_2, const Tensor &b_2,
                                     bool has_vectors)
{
  const variable_list x = {s, v, w_1, b_1, w_2, b_2};
  check_sources(x);
  if (needs_composed(x, 2)) return composed_sources(x, has_vectors);
  if (is_differentiated(x)) return Sources::apply(s, v, w_1, b_1, w_2, b_2, has_vectors);
  at::AutoDispatchBelowADInplaceOrView below;
  return sources_of(x, has_vectors, nullptr);
}

// --- update ---

using Pair = std::tuple<Tensor, Tensor>;

Tensor norm_of(const Tensor &v, double width)
{
  return at::sqrt((v * v).sum(1) + width * width);
}

// arguments: s, v, messages, W, W_1, b_1, W_2, b_2
variable_list composed_update(const variable_list &x, double width)
{
  const Tensor s = x[0] + x[2].select(1, 0), v = x[1] + x[2].slice(1, 1);
  const auto uv = at::linear(v, x[3]).chunk(2, 2);
  const Tensor sq = at::cat({s, norm_of(uv[1], width)}, 1);
  const auto a = at::linear(at::silu(at::linear(sq, x[4], x[5])), x[6], x[7]).chunk(3, 1);
  return {s + a[2] + a[1] * (uv[0] * uv[1]).sum(1), v + a[0].unsqueeze(1) * uv[0]};
}

void check_update(const variable_list &x)
{
  const Tensor &s = x[0];
  const int64_t n = s.dim() == 2 ? s.size(0) : -1, f = s.dim() == 2 ? s.size(1) : -1;
  check(s.dim() == 2 && has_shape(x[1], {n, 3, f}) && has_shape(x[2], {n, 4, f}) &&
            has_shape(x[3], {2 * f, f}) && has_shape(x[4], {f, 2 * f}) && has_shape(x[5], {f}) &&
            has_shape(x[6], {3 * f, f}) && has_shape(x[7], {3 * f}),
        "equivariant_update",
        "(n, F), (n, 3, F), (n, 4, F), (2 F, F), (F, 2 F), (F,), (3 F, F) and (3 F,)", x);
  check_types("equivariant_update", x);
}

Pair update_of(const variable_list &x, double width, Tensor *saved)
{
  const Tensor s = x[0].contiguous(), v = x[1].contiguous(), messages = x[2].contiguous();
  const int64_t n = s.size(0), f = s.size(1);
  Tensor new_s = at::empty({n, f}, s.options()), new_v = at::empty({n, 3, f}, s.options());
  AT_DISPATCH_FLOATING_TYPES(s.scalar_type(), "mlip::equivariant_update", [&] {
    const auto kernels = fastest_atom_block_kernels<scalar_t>();
    const Parts one = {{0, f}}, two = {{0, f}, {f, f}}, three = {{0, f}, {f, f}, {2 * f, f}};
    const auto vectors = packed<scalar_t>(x[3], {}, one, two, kernels.lanes, false);
    const auto first = packed<scalar_t>(x[4], x[5], two, one, kernels.lanes, false);
    const auto second = packed<scalar_t>(x[6], x[7], one, three, kernels.lanes, false);
    UpdateProblem<scalar_t> p = {};
    p.n_atoms = n;
    p.n_features = f;
    p.squared_width = scalar_t(width * width);
    p.s = s.const_data_ptr<scalar_t>();
    p.v = v.const_data_ptr<scalar_t>();
    p.messages = messages.const_data_ptr<scalar_t>();
    p.vectors = vectors->layer;
    p.first = first->layer;
    p.second = second->layer;
    p.new_s = new_s.mutable_data_ptr<scalar_t>();
    p.new_v = new_v.mutable_data_ptr<scalar_t>();
    if (saved) {
      *saved = at::empty({n, 11 * padded_to_lanes<scalar_t>(f)}, s.options());
      p.saved = saved->mutable_data_ptr<scalar_t>();
    }
    over_blocks(p, kernels.block, kernels.update);
  });
  return {new_s, new_v};
}

Pair by_update_of(const variable_list &x, Tensor saved, const variable_list &gradients)
{
  const Tensor g_s = gradients[0].contiguous(), g_v = gradients[1].contiguous();
  const int64_t n = g_s.size(0), f = g_s.size(1);
  Tensor by_s = at::empty({n, f}, g_s.options()), by_v = at::empty({n, 3, f}, g_s.options());
  AT_DISPATCH_FLOATING_TYPES(g_s.scalar_type(), "mlip::equivariant_update", [&] {
    const auto kernels = fastest_atom_block_kernels<scalar_t>();
    const Parts one = {{0, f}}, two = {{0, f}, {f, f}}, three = {{0, f}, {f, f}, {2 * f, f}};
    const auto vectors = packed<scalar_t>(x[3], {}, one, two, kernels.lanes, true);
    const auto first = packed<scalar_t>(x[4], {}, two, one, kernels.lanes, true);
    const auto second = packed<scalar_t>(x[6], {}, one, three, kernels.lanes, true);
    UpdateProblem<scalar_t> p = {};
    p.n_atoms = n;
    p.n_features = f;
    p.vectors = vectors->layer;
    p.first = first->layer;
    p.second = second->layer;
    p.saved = saved.mutable_data_ptr<scalar_t>();
    p.by_new_s = g_s.const_data_ptr<scalar_t>();
    p.by_new_v = g_v.const_data_ptr<scalar_t>();
    p.by_s = by_s.mutable_data_ptr<scalar_t>();
    p.by_v = by_v.mutable_data_ptr<scalar_t>();
    over_blocks(p, kernels.block, kernels.by_update);
  });
  return {by_s, by_v};
}

struct Update : Function<Update> {
  static variable_list forward(AutogradContext *context, const Tensor &s, const Tensor &v,
                               const Tensor &messages, const Tensor &w, const Tensor &w_1,
                               const Tensor &b_1, const Tensor &w_2, const Tensor &b_2,
                               double width)
  {
    at::AutoDispatchBelowADInplaceOrView below;
    Tensor saved;
    const auto [new_s, new_v] = update_of({s, v, messages, w, w_1, b_1, w_2, b_2}, width, &saved);
    context->save_for_backward({s, v, messages, w, w_1, b_1, w_2, b_2, saved});
    context->saved_data["width"] = width;
    return {new_s, new_v};
  }

  static variable_list backward(AutogradContext *context, variable_list gradients)
  {
    variable_list x = context->get_saved_variables();
    const Tensor saved = x.back();
    x.pop_back();
    gradients = filled(gradients, {x[0], x[1]});
    const double width = context->saved_data["width"].toDouble();
    variable_list result;
    if (at::GradMode::is_enabled()) {
      result = through_composed([&](const variable_list &y) { return composed_update(y, width); },
                                x, 3, gradients, context);
    } else {
      const auto [by_s, by_v] = by_update_of(x, saved, gradients);
      result = {by_s, by_v, Tensor()};
      if (context->needs_input_grad(2)) result[2] = at::cat({by_s.unsqueeze(1), by_v}, 1);
    }
    result.resize(9);
    return result;
  }
};

Pair equivariant_update(const Tensor &s, const Tensor &v, const Tensor &messages, const Tensor &w,
                        const Tensor &w_1, const Tensor &b_1, const Tensor &w_2, const Tensor &b_2,
                        double width)
{
  const variable_list x = {s, v, messages, w, w_1, b_1, w_2, b_2};
  check_update(x);
  return update_of(x, width, nullptr);
}

Pair equivariant_update_with_gradient(const Tensor &s, const Tensor &v, const Tensor &messages,
                                      const Tensor &w, const Tensor &w_1, const Tensor &b_1,
                                      const Tensor &w_2, const Tensor &b_2, double width)
{
  const variable_list x = {s, v, messages, w, w_1, b_1, w_2, b_2};
  check_update(x);
  if (needs_composed(x, 3)) {
    const auto found = composed_update(x, width);
    return {found[0], found[1]};
  }
  if (is_differentiated(x)) {
    const auto found = Update::apply(s, v, messages, w, w_1, b_1, w_2, b_2, width);
    return {found[0], found[1]};
  }
  at::AutoDispatchBelowADInplaceOrView below;
  return update_of(x, width, nullptr);
}

// --- gated vectors: the end of a network, where nobody's time goes into derivatives ---

// arguments: s, v, W, W_1, b_1, W_2, b_2
Pair composed_gated(const variable_list &x, double width)
{
  const auto uv = at::linear(x[1], x[2]).chunk(2, 2);
  const Tensor sq = at::cat({x[0], norm_of(uv[0], width)}, 1);
  const auto out = at::linear(at::silu(at::linear(sq, x[3], x[4])), x[5], x[6]).chunk(2, 1);
  return {at::silu(out[0]), out[1].unsqueeze(1) * uv[1]};
}

void check_gated(const variable_list &x)
{
  const Tensor &s = x[0];
  const int64_t n = s.dim() == 2 ? s.size(0) : -1, f = s.dim() == 2 ? s.size(1) : -1;
  const int64_t o = x[2].dim() == 2 ? x[2].size(0) / 2 : -1;
  check(s.dim() == 2 && has_shape(x[1], {n, 3, f}) && has_shape(x[2], {2 * o, f}) &&
            has_shape(x[3], {f, f + o}) && has_shape(x[4], {f}) && has_shape(x[5], {2 * o, f}) &&
            has_shape(x[6], {2 * o}),
        "gated_vectors", "(n, F), (n, 3, F), (2 O, F), (F, F + O), (F,), (2 O, F) and (2 O,)", x);
  check_types("gated_vectors", x);
}

Pair gated_of(const variable_list &x, double width)
{
  const Tensor s = x[0].contiguous(), v = x[1].contiguous();
  const int64_t n = s.size(0), f = s.size(1), o = x[2].size(0) / 2;
  Tensor new_s = at::empty({n, o}, s.options()), new_v = at::empty({n, 3, o}, s.options());
  AT_DISPATCH_FLOATING_TYPES(s.scalar_type(), "mlip::gated_vectors", [&] {
    const auto kernels = fastest_atom_block_kernels<scalar_t>();
    const Parts features = {{0, f}}, both = {{0, f}, {f, o}}, outputs = {{0, o}, {o, o}};
    const auto vectors = packed<scalar_t>(x[2], {}, features, outputs, kernels.lanes, false);
    const auto first = packed<scalar_t>(x[3], x[4], both, features, kernels.lanes, false);
    const auto second = packed<scalar_t>(x[5], x[6], features, outputs, kernels.lanes, false);
    GatedProblem<scalar_t> p = {};
    p.n_atoms = n;
    p.n_features = f;
    p.n_out = o;
    p.squared_width = scalar_t(width * width);
    p.s = s.const_data_ptr<scalar_t>();
    p.v = v.const_data_ptr<scalar_t>();
    p.vectors = vectors->layer;
    p.first = first->layer;
    p.second = second->layer;
    p.new_s = new_s.mutable_data_ptr<scalar_t>();
    p.new_v = new_v.mutable_data_ptr<scalar_t>();
    over_blocks(p, kernels.block, kernels.gated);
  });
  return {new_s, new_v};
}

Pair gated_vectors(const Tensor &s, const Tensor &v, const Tensor &w, const Tensor &w_1,
                   const Tensor &b_1, const Tensor &w_2, const Tensor &b_2, double width)
{
  const variable_list x = {s, v, w, w_1, b_1, w_2, b_2};
  check_gated(x);
  return gated_of(x, width);
}

Pair gated_vectors_with_gradient(const Tensor &s, const Tensor &v, const Tensor &w,
                                 const Tensor &w_1, const Tensor &b_1, const Tensor &w_2,
                                 const Tensor &b_2, double width)
{
  const variable_list x = {s, v, w, w_1, b_1, w_2, b_2};
  check_gated(x);
  if (is_differentiated(x)) return composed_gated(x, width);
  at::AutoDispatchBelowADInplaceOrView below;
  return gated_of(x, width);
}

// Several copies of this library may come into one process, from Python and from LAMMPS: the first one registers.
const std::unique_ptr<torch::Library> library = []() -> std::unique_ptr<torch::Library> {
  if (c10::Dispatcher::singleton().findSchema({"mlip::equivariant_update", ""})) return nullptr;
  auto mlip = std::make_unique<torch::Library>(torch::Library::FRAGMENT, "mlip", std::nullopt,
                                               __FILE__, __LINE__);
  const auto cpu = c10::DispatchKey::CPU, autograd = c10::DispatchKey::AutogradCPU;
  mlip->def(
      "message_sources(Tensor s, Tensor v, Tensor w_1, Tensor b_1, Tensor w_2, Tensor b_2, bool "
      "has_vectors) -> Tensor");
  mlip->impl("message_sources", torch::dispatch(cpu, TORCH_FN(message_sources)));
  mlip->impl("message_sources", torch::dispatch(autograd, TORCH_FN(message_sources_with_gradient)));
  mlip->def(
      "equivariant_update(Tensor s, Tensor v, Tensor messages, Tensor w, Tensor w_1, Tensor b_1, "
      "Tensor w_2, Tensor b_2, float width) -> (Tensor, Tensor)");
  mlip->impl("equivariant_update", torch::dispatch(cpu, TORCH_FN(equivariant_update)));
  mlip->impl("equivariant_update",
             torch::dispatch(autograd, TORCH_FN(equivariant_update_with_gradient)));
  mlip->def(
      "gated_vectors(Tensor s, Tensor v, Tensor w, Tensor w_1, Tensor b_1, Tensor w_2, Tensor "
      "b_2, float width) -> (Tensor, Tensor)");
  mlip->impl("gated_vectors", torch::dispatch(cpu, TORCH_FN(gated_vectors)));
  mlip->impl("gated_vectors", torch::dispatch(autograd, TORCH_FN(gated_vectors_with_gradient)));
  return mlip;
}();

}    // namespace

}    // namespace mlip
