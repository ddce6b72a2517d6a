// The operator mlip::equivariant_message: what an atom collects from its neighbours through radial filters.
//
//   m_s[i]    = sum over the edges e = (i -> j) of w_s[e] S[j]
//   m_v[i, d] = sum over the edges e = (i -> j) of w_v[e] V[j, d] + w_a[e] A[j] u[e, d]
//   w_x[e]    = sum_k R[e, k] W_x[k],  for x = s, v, a
//
// for every feature, with radial functions R (E, K), directions u (E, 3), features S, A (N, F) and V (N, 3, F) of the
// atoms and filters W (3, K, F). The loops make w where they need it, so nothing of the size of edges times features, or
// of atoms times radial functions times features, is ever in memory. Only first derivatives by what changes with the
// positions have loops; others are those of the same sums composed of mlip::neighbor_sum.

#include "edges.h"
#include "message_kernel.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <memory>

namespace mlip {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

namespace {

struct Arguments {
  Tensor radial, unit, sources, filters;    // R, u, (S, A, V) and W
  Edges edges;

  int64_t n_basis() const { return filters.size(1); }
  int64_t n_features() const { return filters.size(2); }
  bool has_vectors() const { return sources.size(1) > 2 * n_features(); }

  template <typename Scalar> MessageProblem<Scalar> problem() const
  {
    MessageProblem<Scalar> p = {};
    p.n_centres = edges.n_centres();
    p.n_basis = n_basis();
    p.n_features = n_features();
    p.has_vectors = has_vectors();
    p.first_edge = edges.first_edge.const_data_ptr<int64_t>();
    p.neighbor = edges.neighbor.const_data_ptr<int64_t>();
    p.radial = radial.const_data_ptr<Scalar>();
    p.unit = unit.const_data_ptr<Scalar>();
    p.sources = sources.const_data_ptr<Scalar>();
    p.filters = filters.const_data_ptr<Scalar>();
    return p;
  }

  // as the loops want it
  Arguments contiguous() const
  {
    return {radial.contiguous(), unit.contiguous(), sources.contiguous(), filters.contiguous(),
            edges};
  }

  int64_t grain() const { return edges.grain((3 * n_basis() + 8) * n_features()); }

  void check() const
  {
    const int64_t n_edges = edges.n_edges();
    TORCH_CHECK(
        filters.dim() == 3 && filters.size(0) == 3 && radial.dim() == 2 &&
            radial.size(0) == n_edges && radial.size(1) == n_basis() && unit.dim() == 2 &&
            unit.size(0) == n_edges && unit.size(1) == 3 && sources.dim() == 2 &&
            (sources.size(1) == 2 * n_features() || sources.size(1) == 5 * n_features()),
        "mlip::equivariant_message: expected radial (E, K), unit (E, 3), sources (N, 2 F) or "
        "(N, 5 F) and filters (3, K, F) for E = ",
        n_edges, " edges, got ", radial.sizes(), ", ", unit.sizes(), ", ", sources.sizes(), " and ",
        filters.sizes());
    const auto type = radial.scalar_type();
    TORCH_CHECK(
        unit.scalar_type() == type && sources.scalar_type() == type &&
            filters.scalar_type() == type,
        "mlip::equivariant_message: expected radial, unit, sources and filters of one type, "
        "got ",
        type, ", ", unit.scalar_type(), ", ", sources.scalar_type(), " and ",
        filters.scalar_type());
    edges.check("mlip::equivariant_message", sources.size(0));
  }
};

Tensor neighbor_sum(const Tensor &weights, const Tensor &features, const Edges &edges)
{
  static const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("mlip::neighbor_sum", "")
          .typed<Tensor(const Tensor &, const Tensor &, const Tensor &, const Tensor &)>();
  return op.call(weights, features, edges.first_edge, edges.neighbor);
}

// the same, differentiable to any order and by all arguments
Tensor composed(const Arguments &a)
{
  const int64_t n = a.edges.n_centres(), k = a.n_basis(), f = a.n_features();
  const Tensor directed = (a.unit.unsqueeze(2) * a.radial.unsqueeze(1)).flatten(1);    // (E, 3 K)
  const Tensor along = neighbor_sum(directed, a.sources.slice(1, f, 2 * f), a.edges);
  Tensor vectors = (along.view({n, 3, k, f}) * a.filters[2]).sum(2);    // (n, 3, F)
  const Tensor of_s = neighbor_sum(a.radial, a.sources.slice(1, 0, f), a.edges);
  const Tensor scalars = (of_s * a.filters[0]).sum(1, true);    // (n, 1, F)
  if (a.has_vectors()) {
    const Tensor of_v = neighbor_sum(a.radial, a.sources.slice(1, 2 * f), a.edges);
    vectors = vectors + (of_v.view({n, k, 3, f}) * a.filters[1].unsqueeze(1)).sum(1);
  }
  return at::cat({scalars, vectors}, 1);    // (n, 4, F)
}

Tensor messages_of(const Arguments &given)
{
  const Arguments a = given.contiguous();
  Tensor messages = at::empty({a.edges.n_centres(), 4, a.n_features()}, a.sources.options());
  AT_DISPATCH_FLOATING_TYPES(messages.scalar_type(), "mlip::equivariant_message", [&] {
    auto p = a.problem<scalar_t>();
    p.messages = messages.mutable_data_ptr<scalar_t>();
    const auto loop = fastest_message_kernels<scalar_t>().messages;
    at::parallel_for(0, p.n_centres, a.grain(),
                     [&](int64_t begin, int64_t end) { loop(p, begin, end); });
  });
  return messages;
}

Tensor by_sources_of(const Arguments &given, const Tensor &by_messages)
{
  const Arguments a = given.contiguous();
  const Tensor g = by_messages.contiguous();
  Tensor result = at::zeros_like(a.sources);
  AT_DISPATCH_FLOATING_TYPES(g.scalar_type(), "mlip::equivariant_message", [&] {
    auto p = a.problem<scalar_t>();
    p.by_messages = g.const_data_ptr<scalar_t>();
    p.by_sources = result.mutable_data_ptr<scalar_t>();
    const auto all = fastest_message_kernels<scalar_t>();
    const int64_t width = all.column_block, n_blocks = (p.n_features + width - 1) / width;
    // threads share columns, not centres: no two of them add to the same number
    at::parallel_for(0, n_blocks, 1, [&](int64_t begin, int64_t end) {
      all.by_sources(p, begin * width, std::min(end * width, p.n_features));
    });
  });
  return result;
}

std::pair<Tensor, Tensor> by_edges_of(const Arguments &given, const Tensor &by_messages)
{
  const Arguments a = given.contiguous();
  const Tensor g = by_messages.contiguous();
  Tensor by_radial = at::empty_like(a.radial), by_unit = at::empty_like(a.unit);
  AT_DISPATCH_FLOATING_TYPES(g.scalar_type(), "mlip::equivariant_message", [&] {
    auto p = a.problem<scalar_t>();
    p.by_messages = g.const_data_ptr<scalar_t>();
    p.by_radial = by_radial.mutable_data_ptr<scalar_t>();
    p.by_unit = by_unit.mutable_data_ptr<scalar_t>();
    const auto loop = fastest_message_kernels<scalar_t>().by_edges;
    at::parallel_for(0, p.n_centres, a.grain(),
                     [&](int64_t begin, int64_t end) { loop(p, begin, end); });
  });
  return {by_radial, by_unit};
}

struct Message : Function<Message> {
  static Tensor forward(AutogradContext *context, const Tensor &radial, const Tensor &unit,
                        const Tensor &sources, const Tensor &filters, const Tensor &first_edge,
                        const Tensor &neighbor)
  {
    context->save_for_backward({radial, unit, sources, filters, first_edge, neighbor});
    at::AutoDispatchBelowADInplaceOrView below;
    return messages_of({radial, unit, sources, filters, {first_edge, neighbor}});
  }

  static variable_list backward(AutogradContext *context, const variable_list &gradients)
  {
    const auto saved = context->get_saved_variables();
    const Arguments a = {saved[0], saved[1], saved[2], saved[3], {saved[4], saved[5]}};
    variable_list result(6);
    if (at::GradMode::is_enabled() || context->needs_input_grad(3)) {
      differentiate_composed(context, a, gradients[0], result);
      return result;
    }
    if (context->needs_input_grad(0) || context->needs_input_grad(1))
      std::tie(result[0], result[1]) = by_edges_of(a, gradients[0]);
    if (context->needs_input_grad(2)) result[2] = by_sources_of(a, gradients[0]);
    return result;
  }

 private:
  static void differentiate_composed(AutogradContext *context, const Arguments &a,
                                     const Tensor &by_messages, variable_list &result)
  {
    const bool again = at::GradMode::is_enabled();
    at::AutoGradMode enabled(true);
    // Aliases: one argument may have been computed from another, which is not what is asked here.
    const Arguments alias = {a.radial.alias(), a.unit.alias(), a.sources.alias(), a.filters.alias(),
                             a.edges};
    variable_list wanted;
    std::vector<size_t> positions;
    const Tensor *arguments[] = {&alias.radial, &alias.unit, &alias.sources, &alias.filters};
    for (size_t k = 0; k < 4; k++)
      if (context->needs_input_grad(k)) {
        wanted.push_back(*arguments[k]);
        positions.push_back(k);
      }
    const auto found =
        torch::autograd::grad({composed(alias)}, wanted, {by_messages}, again, again);
    for (size_t k = 0; k < positions.size(); k++) result[positions[k]] = found[k];
  }
};

Tensor message(const Tensor &radial, const Tensor &unit, const Tensor &sources,
               const Tensor &filters, const Tensor &first_edge, const Tensor &neighbor)
{
  const Arguments a = {radial, unit, sources, filters, {first_edge, neighbor}};
  a.check();
  return a.n_basis() > MESSAGE_MAX_BASIS ? composed(a) : messages_of(a);
}

Tensor message_with_gradient(const Tensor &radial, const Tensor &unit, const Tensor &sources,
                             const Tensor &filters, const Tensor &first_edge,
                             const Tensor &neighbor)
{
  const Arguments a = {radial, unit, sources, filters, {first_edge, neighbor}};
  a.check();
  if (a.n_basis() > MESSAGE_MAX_BASIS) return composed(a);
  return Message::apply(radial, unit, sources, filters, first_edge, neighbor);
}

// Several copies of this library may come into one process, from Python and from LAMMPS: the first one registers.
const std::unique_ptr<torch::Library> library = []() -> std::unique_ptr<torch::Library> {
  if (c10::Dispatcher::singleton().findSchema({"mlip::equivariant_message", ""})) return nullptr;
  auto mlip = std::make_unique<torch::Library>(torch::Library::FRAGMENT, "mlip", std::nullopt,
                                               __FILE__, __LINE__);
  mlip->def(
      "equivariant_message(Tensor radial, Tensor unit, Tensor sources, Tensor filters, Tensor "
      "first_edge, Tensor neighbor) -> Tensor");
  mlip->impl("equivariant_message", torch::dispatch(c10::DispatchKey::CPU, TORCH_FN(message)));
  mlip->impl("equivariant_message",
             torch::dispatch(c10::DispatchKey::AutogradCPU, TORCH_FN(message_with_gradient)));
  return mlip;
}();

}    // namespace

}    // namespace mlip
