// The operator mlip::tensor_product_sum: what an atom collects from its neighbours through a channelwise tensor product.
//
//   m[i, k, c] = sum over the edges e = (i -> j), and over a and b, of G[b, k, a] Y[e, b] X[j, a, c] W[e, p(k), c]
//
// with harmonics Y (E, B), sources X (N, A, C), weights W (E, P, C), coefficients G (B, K, A) of which most are zero, and
// the path p (K,) of each component. No tensor of edges times components times channels is ever in memory. First
// derivatives have loops of their own; others are those of the same sum composed of torch's operators.

#include "edges.h"
#include "tensor_product_kernel.h"

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

// coefficients that are not zero, as the loops want them
template <typename Scalar> struct Terms {
  std::vector<int64_t> first_pair = {0}, pair_in, first_term = {0}, harmonic;
  std::vector<Scalar> value;

  explicit Terms(const Tensor &coupling)
  {
    const Tensor given = coupling.contiguous();
    const int64_t n_harmonics = given.size(0), n_out = given.size(1), n_in = given.size(2);
    const Scalar *g = given.const_data_ptr<Scalar>();
    for (int64_t k = 0; k < n_out; k++) {
      for (int64_t a = 0; a < n_in; a++) {
        for (int64_t b = 0; b < n_harmonics; b++) {
          const Scalar coefficient = g[(b * n_out + k) * n_in + a];
          if (coefficient == 0) continue;
          harmonic.push_back(b);
          value.push_back(coefficient);
        }
        if (int64_t(value.size()) == first_term.back()) continue;
        pair_in.push_back(a);
        first_term.push_back(value.size());
      }
      first_pair.push_back(pair_in.size());
    }
  }
};

struct Arguments {
  Tensor sources, harmonics, weights, coupling, path;    // X, Y, W, G and p
  Edges edges;

  template <typename Scalar> TensorProductProblem<Scalar> problem(const Terms<Scalar> &terms) const
  {
    TensorProductProblem<Scalar> p = {};
    p.n_centres = edges.n_centres();
    p.n_in = coupling.size(2);
    p.n_harmonics = coupling.size(0);
    p.n_out = coupling.size(1);
    p.n_paths = weights.size(1);
    p.n_channels = sources.size(2);
    p.n_pairs = terms.pair_in.size();
    p.first_edge = edges.first_edge.const_data_ptr<int64_t>();
    p.neighbor = edges.neighbor.const_data_ptr<int64_t>();
    p.path = path.const_data_ptr<int64_t>();
    p.first_pair = terms.first_pair.data();
    p.pair_in = terms.pair_in.data();
    p.first_term = terms.first_term.data();
    p.term_harmonic = terms.harmonic.data();
    p.term_value = terms.value.data();
    p.sources = sources.const_data_ptr<Scalar>();
    p.harmonics = harmonics.const_data_ptr<Scalar>();
    p.weights = weights.const_data_ptr<Scalar>();
    return p;
  }

  Arguments contiguous() const
  {
    return {sources.contiguous(), harmonics.contiguous(),
            weights.contiguous(), coupling,
            path.contiguous(),    edges};
  }

  int64_t grain() const { return edges.grain(3 * coupling.size(1) * sources.size(2)); }

  void check() const
  {
    const char *name = "mlip::tensor_product_sum";
    const int64_t n_edges = edges.n_edges();
    TORCH_CHECK(
        sources.dim() == 3 && harmonics.dim() == 2 && weights.dim() == 3 && coupling.dim() == 3 &&
            path.dim() == 1 && harmonics.size(0) == n_edges && weights.size(0) == n_edges &&
            weights.size(2) == sources.size(2) && coupling.size(0) == harmonics.size(1) &&
            coupling.size(1) == path.size(0) && coupling.size(2) == sources.size(1),
        name,
        ": expected sources (N, A, C), harmonics (E, B), weights (E, P, C), coupling (B, K, A) "
        "and path (K,) for E = ",
        n_edges, " edges, got ", sources.sizes(), ", ", harmonics.sizes(), ", ", weights.sizes(),
        ", ", coupling.sizes(), " and ", path.sizes());
    const auto type = sources.scalar_type();
    TORCH_CHECK(
        harmonics.scalar_type() == type && weights.scalar_type() == type &&
            coupling.scalar_type() == type && path.scalar_type() == at::kLong,
        name,
        ": expected sources, harmonics, weights and coupling of one type and path of int64, got ",
        type, ", ", harmonics.scalar_type(), ", ", weights.scalar_type(), ", ",
        coupling.scalar_type(), " and ", path.scalar_type());
    const Tensor given = path.contiguous();
    const int64_t *p = given.const_data_ptr<int64_t>();
    for (int64_t k = 0; k < given.size(0); k++)
      TORCH_CHECK_INDEX(p[k] >= 0 && p[k] < weights.size(1), name, ": path ", p[k],
                        " of component ", k, " is not among the ", weights.size(1), " paths");
    edges.check(name, sources.size(0));
  }
};

// the same, differentiable to any order and by all arguments
Tensor composed(const Arguments &a)
{
  const int64_t n = a.edges.n_centres(), e = a.edges.n_edges();
  const int64_t k = a.coupling.size(1), in = a.coupling.size(2);
  const Tensor mixing = at::matmul(a.harmonics, a.coupling.flatten(1)).view({e, k, in});
  const Tensor messages = at::bmm(mixing, a.sources.index_select(0, a.edges.neighbor)) *
                          a.weights.index_select(1, a.path);    // (E, K, C)
  const Tensor counts = a.edges.first_edge.slice(0, 1) - a.edges.first_edge.slice(0, 0, n);
  const Tensor centre = at::repeat_interleave(counts);
  return at::zeros({n, k, a.sources.size(2)}, a.sources.options()).index_add(0, centre, messages);
}

Tensor sums_of(const Arguments &given)
{
  const Arguments a = given.contiguous();
  Tensor sums =
      at::zeros({a.edges.n_centres(), a.coupling.size(1), a.sources.size(2)}, a.sources.options());
  AT_DISPATCH_FLOATING_TYPES(sums.scalar_type(), "mlip::tensor_product_sum", [&] {
    const Terms<scalar_t> terms(a.coupling);
    auto p = a.problem<scalar_t>(terms);
    p.sums = sums.mutable_data_ptr<scalar_t>();
    const auto loop = fastest_tensor_product_kernels<scalar_t>().sums;
    at::parallel_for(0, p.n_centres, a.grain(), [&](int64_t begin, int64_t end) {
      std::vector<scalar_t> scratch(scratch_size(p));
      loop(p, begin, end, scratch.data());
    });
  });
  return sums;
}

Tensor by_sources_of(const Arguments &given, const Tensor &by_sums)
{
  const Arguments a = given.contiguous();
  const Tensor g = by_sums.contiguous();
  Tensor result = at::zeros_like(a.sources);
  AT_DISPATCH_FLOATING_TYPES(g.scalar_type(), "mlip::tensor_product_sum", [&] {
    const Terms<scalar_t> terms(a.coupling);
    auto p = a.problem<scalar_t>(terms);
    p.by_sums = g.const_data_ptr<scalar_t>();
    p.by_sources = result.mutable_data_ptr<scalar_t>();
    const auto all = fastest_tensor_product_kernels<scalar_t>();
    const int64_t width = all.column_block, n_blocks = (p.n_channels + width - 1) / width;
    // threads share channels, not centres: no two of them add to the same number
    at::parallel_for(0, n_blocks, 1, [&](int64_t begin, int64_t end) {
      std::vector<scalar_t> scratch(scratch_size(p));
      all.by_sources(p, begin * width, std::min(end * width, p.n_channels), scratch.data());
    });
  });
  return result;
}

std::pair<Tensor, Tensor> by_edges_of(const Arguments &given, const Tensor &by_sums)
{
  const Arguments a = given.contiguous();
  const Tensor g = by_sums.contiguous();
  Tensor by_harmonics = at::empty_like(a.harmonics), by_weights = at::zeros_like(a.weights);
  AT_DISPATCH_FLOATING_TYPES(g.scalar_type(), "mlip::tensor_product_sum", [&] {
    const Terms<scalar_t> terms(a.coupling);
    auto p = a.problem<scalar_t>(terms);
    p.by_sums = g.const_data_ptr<scalar_t>();
    p.by_harmonics = by_harmonics.mutable_data_ptr<scalar_t>();
    p.by_weights = by_weights.mutable_data_ptr<scalar_t>();
    const auto loop = fastest_tensor_product_kernels<scalar_t>().by_edges;
    at::parallel_for(0, p.n_centres, a.grain(), [&](int64_t begin, int64_t end) {
      std::vector<scalar_t> scratch(scratch_size(p));
      loop(p, begin, end, scratch.data());
    });
  });
  return {by_harmonics, by_weights};
}

struct TensorProductSum : Function<TensorProductSum> {
  static Tensor forward(AutogradContext *context, const Tensor &sources, const Tensor &harmonics,
                        const Tensor &weights, const Tensor &coupling, const Tensor &path,
                        const Tensor &first_edge, const Tensor &neighbor)
  {
    context->save_for_backward({sources, harmonics, weights, coupling, path, first_edge, neighbor});
    at::AutoDispatchBelowADInplaceOrView below;
    return sums_of({sources, harmonics, weights, coupling, path, {first_edge, neighbor}});
  }

  static variable_list backward(AutogradContext *context, const variable_list &gradients)
  {
    const auto s = context->get_saved_variables();
    const Arguments a = {s[0], s[1], s[2], s[3], s[4], {s[5], s[6]}};
    variable_list result(7);
    if (at::GradMode::is_enabled() || context->needs_input_grad(3)) {
      differentiate_composed(context, a, gradients[0], result);
      return result;
    }
    if (context->needs_input_grad(0)) result[0] = by_sources_of(a, gradients[0]);
    if (context->needs_input_grad(1) || context->needs_input_grad(2))
      std::tie(result[1], result[2]) = by_edges_of(a, gradients[0]);
    return result;
  }

 private:
  static void differentiate_composed(AutogradContext *context, const Arguments &a,
                                     const Tensor &by_sums, variable_list &result)
  {
    const bool again = at::GradMode::is_enabled();
    at::AutoGradMode enabled(true);
    // Aliases: one argument may have been computed from another, which is not what is asked here.
    const Arguments alias = {a.sources.alias(),
                             a.harmonics.alias(),
                             a.weights.alias(),
                             a.coupling.alias(),
                             a.path,
                             a.edges};
    variable_list wanted;
    std::vector<size_t> positions;
    const Tensor *arguments[] = {&alias.sources, &alias.harmonics, &alias.weights, &alias.coupling};
    for (size_t k = 0; k < 4; k++)
      if (context->needs_input_grad(k)) {
        wanted.push_back(*arguments[k]);
        positions.push_back(k);
      }
    const auto found = torch::autograd::grad({composed(alias)}, wanted, {by_sums}, again, again);
    for (size_t k = 0; k < positions.size(); k++) result[positions[k]] = found[k];
  }
};

Tensor tensor_product_sum(const Tensor &sources, const Tensor &harmonics, const Tensor &weights,
                          const Tensor &coupling, const Tensor &path, const Tensor &first_edge,
                          const Tensor &neighbor)
{
  const Arguments a = {sources, harmonics, weights, coupling, path, {first_edge, neighbor}};
  a.check();
  return sums_of(a);
}

Tensor tensor_product_sum_with_gradient(const Tensor &sources, const Tensor &harmonics,
                                        const Tensor &weights, const Tensor &coupling,
                                        const Tensor &path, const Tensor &first_edge,
                                        const Tensor &neighbor)
{
  const Arguments a = {sources, harmonics, weights, coupling, path, {first_edge, neighbor}};
  a.check();
  return TensorProductSum::apply(sources, harmonics, weights, coupling, path, first_edge, neighbor);
}

// Several copies of this library may come into one process, from Python and from LAMMPS: the first one registers.
const std::unique_ptr<torch::Library> library = []() -> std::unique_ptr<torch::Library> {
  if (c10::Dispatcher::singleton().findSchema({"mlip::tensor_product_sum", ""})) return nullptr;
  auto mlip = std::make_unique<torch::Library>(torch::Library::FRAGMENT, "mlip", std::nullopt,
                                               __FILE__, __LINE__);
  mlip->def("tensor_product_sum(Tensor sources, Tensor harmonics, Tensor weights, Tensor coupling, "
            "Tensor path, Tensor first_edge, Tensor neighbor) -> Tensor");
  mlip->impl("tensor_product_sum",
             torch::dispatch(c10::DispatchKey::CPU, TORCH_FN(tensor_product_sum)));
  mlip->impl("tensor_product_sum", torch::dispatch(c10::DispatchKey::AutogradCPU,
                                                   TORCH_FN(tensor_product_sum_with_gradient)));
  return mlip;
}();

}    // namespace

}    // namespace mlip
