// The operator mlip::neighbor_sum: what an atom collects from its neighbours, for every radial function.
//
//   T[i, k, c] = sum over the edges e = (i -> j) of R[e, k] X[j, c]
//
// R are radial functions of the edges (E, K), X features of the atoms (N, C), of which the first may be centres only. T is linear in both, and so are the
// two adjoints: three sums over edges are closed under differentiation of any order. On a CPU none of them
// makes a tensor of the size of edges times features; elsewhere the operator is composed of others.

#include "edges.h"
#include "neighbor_sum_kernel.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <memory>

namespace mlip {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

namespace {

template <typename Scalar>
NeighborSumProblem<Scalar> problem(const Edges &edges, const Tensor &weights,
                                   const Tensor &features, const Tensor &sums)
{
  return {edges.n_centres(), sums.size(1), sums.size(2), edges.first_edge.const_data_ptr<int64_t>(),
          edges.neighbor.const_data_ptr<int64_t>(),
          // what a kernel only reads may be shared with other tensors: not mutable_data_ptr
          const_cast<Scalar *>(weights.const_data_ptr<Scalar>()),
          const_cast<Scalar *>(features.const_data_ptr<Scalar>()),
          const_cast<Scalar *>(sums.const_data_ptr<Scalar>())};
}

Tensor sums_of(const Tensor &weights, const Tensor &features, const Edges &edges)
{
  const Tensor r = weights.contiguous(), x = features.contiguous();
  Tensor t = at::empty({edges.n_centres(), r.size(1), x.size(1)}, x.options());
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "mlip::neighbor_sum", [&] {
    const auto p = problem<scalar_t>(edges, r, x, t);
    const auto kernel = fastest_neighbor_sum_kernels<scalar_t>().sums;
    at::parallel_for(0, p.n_atoms, edges.grain(p.n_weights * p.n_features),
                     [&](int64_t begin, int64_t end) { kernel(p, begin, end); });
  });
  return t;
}

Tensor weights_of(const Tensor &features, const Tensor &sums, const Edges &edges)
{
  const Tensor x = features.contiguous(), t = sums.contiguous();
  Tensor r = at::empty({edges.n_edges(), t.size(1)}, x.options());
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "mlip::neighbor_sum", [&] {
    const auto p = problem<scalar_t>(edges, r, x, t);
    const auto kernel = fastest_neighbor_sum_kernels<scalar_t>().weights;
    at::parallel_for(0, p.n_atoms, edges.grain(p.n_weights * p.n_features),
                     [&](int64_t begin, int64_t end) { kernel(p, begin, end); });
  });
  return r;
}

Tensor features_of(const Tensor &weights, const Tensor &sums, const Edges &edges, int64_t n_atoms)
{
  const Tensor r = weights.contiguous(), t = sums.contiguous();
  Tensor x = at::zeros({n_atoms, t.size(2)}, t.options());
  AT_DISPATCH_FLOATING_TYPES(t.scalar_type(), "mlip::neighbor_sum", [&] {
    const auto p = problem<scalar_t>(edges, r, x, t);
    const auto [sums_kernel, weights_kernel, kernel, width] =
        fastest_neighbor_sum_kernels<scalar_t>();
    const int64_t n_blocks = (p.n_features + width - 1) / width;
    // threads share columns, not centres: no two of them add to the same number
    at::parallel_for(0, n_blocks, 1,
                     [&, kernel = kernel, width = width](int64_t begin, int64_t end) {
                       kernel(p, begin * width, std::min(end * width, p.n_features));
                     });
  });
  return x;
}

// Each of the three sums, differentiated by the other two. needs_input_grad asks what this backward pass is for, so
// a parameter that is not differentiated now costs nothing.

struct Sums : Function<Sums> {    // (R, X) -> T
  static Tensor forward(AutogradContext *context, const Tensor &weights, const Tensor &features,
                        const Tensor &first_edge, const Tensor &neighbor);
  static variable_list backward(AutogradContext *context, const variable_list &gradients);
};

struct Weights : Function<Weights> {    // (X, T) -> R
  static Tensor forward(AutogradContext *context, const Tensor &features, const Tensor &sums,
                        const Tensor &first_edge, const Tensor &neighbor);
  static variable_list backward(AutogradContext *context, const variable_list &gradients);
};

struct Features : Function<Features> {    // (R, T) -> X
  static Tensor forward(AutogradContext *context, const Tensor &weights, const Tensor &sums,
                        const Tensor &first_edge, const Tensor &neighbor, int64_t n_atoms);
  static variable_list backward(AutogradContext *context, const variable_list &gradients);
};

Tensor Sums::forward(AutogradContext *context, const Tensor &weights, const Tensor &features,
                     const Tensor &first_edge, const Tensor &neighbor)
{
  context->save_for_backward({weights, features, first_edge, neighbor});
  at::AutoDispatchBelowADInplaceOrView below;
  return sums_of(weights, features, {first_edge, neighbor});
}

variable_list Sums::backward(AutogradContext *context, const variable_list &gradients)
{
  const auto saved = context->get_saved_variables();
  const Tensor &weights = saved[0], &features = saved[1], &by_sums = gradients[0];
  Tensor by_weights, by_features;
  if (context->needs_input_grad(0))
    by_weights = Weights::apply(features, by_sums, saved[2], saved[3]);
  if (context->needs_input_grad(1))
    by_features = Features::apply(weights, by_sums, saved[2], saved[3], features.size(0));
  return {by_weights, by_features, Tensor(), Tensor()};
}

Tensor Weights::forward(AutogradContext *context, const Tensor &features, const Tensor &sums,
                        const Tensor &first_edge, const Tensor &neighbor)
{
  context->save_for_backward({features, sums, first_edge, neighbor});
  at::AutoDispatchBelowADInplaceOrView below;
  return weights_of(features, sums, {first_edge, neighbor});
}

variable_list Weights::backward(AutogradContext *context, const variable_list &gradients)
{
  const auto saved = context->get_saved_variables();
  const Tensor &features = saved[0], &sums = saved[1], &by_weights = gradients[0];
  Tensor by_features, by_sums;
  if (context->needs_input_grad(0))
    by_features = Features::apply(by_weights, sums, saved[2], saved[3], features.size(0));
  if (context->needs_input_grad(1)) by_sums = Sums::apply(by_weights, features, saved[2], saved[3]);
  return {by_features, by_sums, Tensor(), Tensor()};
}

Tensor Features::forward(AutogradContext *context, const Tensor &weights, const Tensor &sums,
                         const Tensor &first_edge, const Tensor &neighbor, int64_t n_atoms)
{
  context->save_for_backward({weights, sums, first_edge, neighbor});
  at::AutoDispatchBelowADInplaceOrView below;
  return features_of(weights, sums, {first_edge, neighbor}, n_atoms);
}

variable_list Features::backward(AutogradContext *context, const variable_list &gradients)
{
  const auto saved = context->get_saved_variables();
  const Tensor &weights = saved[0], &sums = saved[1], &by_features = gradients[0];
  Tensor by_weights, by_sums;
  if (context->needs_input_grad(0))
    by_weights = Weights::apply(by_features, sums, saved[2], saved[3]);
  if (context->needs_input_grad(1)) by_sums = Sums::apply(weights, by_features, saved[2], saved[3]);
  return {by_weights, by_sums, Tensor(), Tensor(), Tensor()};
}

// what the kernels take for granted
void check(const Tensor &weights, const Tensor &features, const Tensor &first_edge,
           const Tensor &neighbor)
{
  TORCH_CHECK(
      weights.dim() == 2 && features.dim() == 2 && weights.size(0) == neighbor.size(0),
      "mlip::neighbor_sum: expected weights (E, K) and features (N, C) for neighbor (E,), got ",
      weights.sizes(), ", ", features.sizes(), " and ", neighbor.sizes());
  TORCH_CHECK(weights.scalar_type() == features.scalar_type(),
              "mlip::neighbor_sum: expected weights and features of one type, got ",
              weights.scalar_type(), " and ", features.scalar_type());
  Edges{first_edge, neighbor}.check("mlip::neighbor_sum", features.size(0));
}

Tensor neighbor_sum(const Tensor &weights, const Tensor &features, const Tensor &first_edge,
                    const Tensor &neighbor)
{
  check(weights, features, first_edge, neighbor);
  return sums_of(weights, features, {first_edge, neighbor});
}

Tensor neighbor_sum_with_gradient(const Tensor &weights, const Tensor &features,
                                  const Tensor &first_edge, const Tensor &neighbor)
{
  check(weights, features, first_edge, neighbor);
  return Sums::apply(weights, features, first_edge, neighbor);
}

// Several copies of this library may come into one process, from Python and from LAMMPS: the first one registers.
const std::unique_ptr<torch::Library> library = []() -> std::unique_ptr<torch::Library> {
  if (c10::Dispatcher::singleton().findSchema({"mlip::neighbor_sum", ""})) return nullptr;
  auto mlip = std::make_unique<torch::Library>(torch::Library::FRAGMENT, "mlip", std::nullopt,
                                               __FILE__, __LINE__);
  mlip->def("neighbor_sum(Tensor weights, Tensor features, Tensor first_edge, Tensor neighbor) -> "
            "Tensor");
  mlip->impl("neighbor_sum", torch::dispatch(c10::DispatchKey::CPU, TORCH_FN(neighbor_sum)));
  mlip->impl("neighbor_sum",
             torch::dispatch(c10::DispatchKey::AutogradCPU, TORCH_FN(neighbor_sum_with_gradient)));
  return mlip;
}();

}    // namespace

}    // namespace mlip
