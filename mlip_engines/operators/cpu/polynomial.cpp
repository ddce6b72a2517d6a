// The operator mlip::polynomial: polynomials of the features of each atom, with coefficients of its element.
//
//   B[i, o, c] = sum over the terms t with o(t) = o of V[z(i), t, c] x[i, f1(t), c] x[i, f2(t), c] x[i, f3(t), c]
//
// with features x (n, A, C), where x[i, A, c] is 1, coefficients V (Z, T, C), factors f (T, 3) and elements z (n,). The
// first derivative by the features has a loop of its own; others are those of the same composed of torch's operators.

#include "polynomial_kernel.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <memory>

namespace mlip {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

namespace {

struct Arguments {
  Tensor features, species, coefficients, factors, output;    // x, z, V, f and o
  int64_t n_out;

  template <typename Scalar> PolynomialProblem<Scalar> problem() const
  {
    PolynomialProblem<Scalar> p = {};
    p.n_features = features.size(1);
    p.n_terms = coefficients.size(1);
    p.n_out = n_out;
    p.n_channels = features.size(2);
    p.species = species.const_data_ptr<int64_t>();
    p.factors = factors.const_data_ptr<int64_t>();
    p.output = output.const_data_ptr<int64_t>();
    p.features = features.const_data_ptr<Scalar>();
    p.coefficients = coefficients.const_data_ptr<Scalar>();
    return p;
  }

  Arguments contiguous() const
  {
    return {features.contiguous(), species.contiguous(), coefficients.contiguous(),
            factors.contiguous(),  output.contiguous(),  n_out};
  }

  int64_t grain() const
  {
    const int64_t work = coefficients.size(1) * features.size(2);
    return std::max<int64_t>(1, 300000 / std::max<int64_t>(work, 1));
  }

  void check() const
  {
    const char *name = "mlip::polynomial";
    TORCH_CHECK(
        features.dim() == 3 && species.dim() == 1 && coefficients.dim() == 3 &&
            factors.dim() == 2 && output.dim() == 1 && species.size(0) == features.size(0) &&
            coefficients.size(2) == features.size(2) && factors.size(0) == coefficients.size(1) &&
            factors.size(1) == 3 && output.size(0) == coefficients.size(1),
        name,
        ": expected features (n, A, C), species (n,), coefficients (Z, T, C), factors (T, 3) and "
        "output (T,), got ",
        features.sizes(), ", ", species.sizes(), ", ", coefficients.sizes(), ", ", factors.sizes(),
        " and ", output.sizes());
    TORCH_CHECK(
        coefficients.scalar_type() == features.scalar_type() &&
            species.scalar_type() == at::kLong && factors.scalar_type() == at::kLong &&
            output.scalar_type() == at::kLong,
        name,
        ": expected features and coefficients of one type and species, factors and output of "
        "int64, got ",
        features.scalar_type(), ", ", coefficients.scalar_type(), ", ", species.scalar_type(), ", ",
        factors.scalar_type(), " and ", output.scalar_type());
    check_range(species, coefficients.size(0), "species");
    check_range(factors, features.size(1) + 1, "factor");
    check_range(output, n_out, "output");
    const Tensor given = output.contiguous();
    const int64_t *o = given.const_data_ptr<int64_t>();
    TORCH_CHECK(std::is_sorted(o, o + given.size(0)), name, ": expected output not to decrease");
  }

 private:
  static void check_range(const Tensor &indices, int64_t size, const char *what)
  {
    const Tensor given = indices.contiguous();
    const int64_t *k = given.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < given.numel(); i++)
      TORCH_CHECK_INDEX(k[i] >= 0 && k[i] < size, "mlip::polynomial: ", what, " ", k[i],
                        " is not below ", size);
  }
};

// the same, differentiable to any order and by all arguments
Tensor composed(const Arguments &a)
{
  const int64_t n = a.features.size(0), c = a.features.size(2);
  const Tensor x = at::cat({a.features, at::ones({n, 1, c}, a.features.options())}, 1);
  Tensor terms = a.coefficients.index_select(0, a.species);    // (n, T, C)
  for (int64_t k = 0; k < 3; k++) terms = terms * x.index_select(1, a.factors.select(1, k));
  return at::zeros({n, a.n_out, c}, a.features.options()).index_add(1, a.output, terms);
}

Tensor values_of(const Arguments &given)
{
  const Arguments a = given.contiguous();
  Tensor values =
      at::zeros({a.features.size(0), a.n_out, a.features.size(2)}, a.features.options());
  AT_DISPATCH_FLOATING_TYPES(values.scalar_type(), "mlip::polynomial", [&] {
    auto p = a.problem<scalar_t>();
    p.values = values.mutable_data_ptr<scalar_t>();
    const auto loop = fastest_polynomial_kernels<scalar_t>().values;
    at::parallel_for(0, a.features.size(0), a.grain(), [&](int64_t begin, int64_t end) {
      std::vector<scalar_t> scratch(scratch_size(p));
      loop(p, begin, end, scratch.data());
    });
  });
  return values;
}

Tensor by_features_of(const Arguments &given, const Tensor &by_values)
{
  const Arguments a = given.contiguous();
  const Tensor g = by_values.contiguous();
  Tensor result = at::empty_like(a.features);
  AT_DISPATCH_FLOATING_TYPES(g.scalar_type(), "mlip::polynomial", [&] {
    auto p = a.problem<scalar_t>();
    p.by_values = g.const_data_ptr<scalar_t>();
    p.by_features = result.mutable_data_ptr<scalar_t>();
    const auto loop = fastest_polynomial_kernels<scalar_t>().by_features;
    at::parallel_for(0, a.features.size(0), a.grain(), [&](int64_t begin, int64_t end) {
      std::vector<scalar_t> scratch(scratch_size(p));
      loop(p, begin, end, scratch.data());
    });
  });
  return result;
}

struct Polynomial : Function<Polynomial> {
  static Tensor forward(AutogradContext *context, const Tensor &features, const Tensor &species,
                        const Tensor &coefficients, const Tensor &factors, const Tensor &output,
                        int64_t n_out)
  {
    context->save_for_backward({features, species, coefficients, factors, output});
    context->saved_data["n_out"] = n_out;
    at::AutoDispatchBelowADInplaceOrView below;
    return values_of({features, species, coefficients, factors, output, n_out});
  }

  static variable_list backward(AutogradContext *context, const variable_list &gradients)
  {
    const auto s = context->get_saved_variables();
    const Arguments a = {s[0], s[1], s[2], s[3], s[4], context->saved_data["n_out"].toInt()};
    variable_list result(6);
    if (!at::GradMode::is_enabled() && !context->needs_input_grad(2)) {
      result[0] = by_features_of(a, gradients[0]);
      return result;
    }
    const bool again = at::GradMode::is_enabled();
    at::AutoGradMode enabled(true);
    const Arguments alias = {a.features.alias(), a.species, a.coefficients.alias(),
                             a.factors,          a.output,  a.n_out};
    variable_list wanted;
    std::vector<size_t> positions;
    if (context->needs_input_grad(0)) {
      wanted.push_back(alias.features);
      positions.push_back(0);
    }
    if (context->needs_input_grad(2)) {
      wanted.push_back(alias.coefficients);
      positions.push_back(2);
    }
    const auto found =
        torch::autograd::grad({composed(alias)}, wanted, {gradients[0]}, again, again);
    for (size_t k = 0; k < positions.size(); k++) result[positions[k]] = found[k];
    return result;
  }
};

Tensor polynomial(const Tensor &features, const Tensor &species, const Tensor &coefficients,
                  const Tensor &factors, const Tensor &output, int64_t n_out)
{
  const Arguments a = {features, species, coefficients, factors, output, n_out};
  a.check();
  return values_of(a);
}

Tensor polynomial_with_gradient(const Tensor &features, const Tensor &species,
                                const Tensor &coefficients, const Tensor &factors,
                                const Tensor &output, int64_t n_out)
{
  const Arguments a = {features, species, coefficients, factors, output, n_out};
  a.check();
  return Polynomial::apply(features, species, coefficients, factors, output, n_out);
}

// Several copies of this library may come into one process, from Python and from LAMMPS: the first one registers.
const std::unique_ptr<torch::Library> library = []() -> std::unique_ptr<torch::Library> {
  if (c10::Dispatcher::singleton().findSchema({"mlip::polynomial", ""})) return nullptr;
  auto mlip = std::make_unique<torch::Library>(torch::Library::FRAGMENT, "mlip", std::nullopt,
                                               __FILE__, __LINE__);
  mlip->def(
      "polynomial(Tensor features, Tensor species, Tensor coefficients, Tensor factors, Tensor "
      "output, int size) -> Tensor");
  mlip->impl("polynomial", torch::dispatch(c10::DispatchKey::CPU, TORCH_FN(polynomial)));
  mlip->impl("polynomial",
             torch::dispatch(c10::DispatchKey::AutogradCPU, TORCH_FN(polynomial_with_gradient)));
  return mlip;
}();

}    // namespace

}    // namespace mlip
