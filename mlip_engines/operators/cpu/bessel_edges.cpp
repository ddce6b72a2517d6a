// The operator mlip::bessel_edges: edges that reach less far than a cutoff c, with their directions u = r / |r| and their
// radial functions
//
//   R_k = sqrt(2 / c) sin(k pi r / c) / r f(r / c),  k = 1 .. K;  f(x) = 1 - 28 x^6 + 48 x^7 - 21 x^8
//
// (Gasteiger, Groß, Günnemann, arXiv:2003.03123, eqs. 7 and 8). Its first derivative has a loop; others are those of the
// same formulas composed of torch's operators.

#include "bessel_edges_kernel.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

namespace mlip {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

namespace {

constexpr int64_t GRAIN = 4096;    // edges for one thread

struct Near {
  Tensor edge, first_edge, neighbor;    // (E',), (n + 1,), (E',)
};

void check(const Tensor &edge_index, const Tensor &vectors, int64_t n_basis, double cutoff,
           int64_t n_centres)
{
  TORCH_CHECK(edge_index.dim() == 2 && edge_index.size(0) == 2 && vectors.dim() == 2 &&
                  vectors.size(0) == edge_index.size(1) && vectors.size(1) == 3,
              "mlip::bessel_edges: expected edge_index (2, E) and edge_vectors (E, 3), got ",
              edge_index.sizes(), " and ", vectors.sizes());
  TORCH_CHECK(edge_index.scalar_type() == at::kLong,
              "mlip::bessel_edges: expected edge_index in int64, got ", edge_index.scalar_type());
  TORCH_CHECK(n_basis > 0 && cutoff > 0.0 && n_centres >= 0,
              "mlip::bessel_edges: expected radial functions, a cutoff above 0 and no negative "
              "number of centres, got ",
              n_basis, ", ", cutoff, " and ", n_centres);
}

template <typename Scalar>
Near near_edges(const Tensor &edge_index, const Tensor &vectors, double cutoff, int64_t n_centres)
{
  const int64_t n_edges = vectors.size(0);
  Tensor edge = at::empty({n_edges}, edge_index.options());
  Tensor neighbor = at::empty({n_edges}, edge_index.options());
  Tensor first_edge = at::empty({n_centres + 1}, edge_index.options());
  const int64_t *i = edge_index.const_data_ptr<int64_t>(), *j = i + n_edges;
  const Scalar *v = vectors.const_data_ptr<Scalar>();
  int64_t *kept = edge.mutable_data_ptr<int64_t>();
  int64_t *to = neighbor.mutable_data_ptr<int64_t>();
  int64_t *first = first_edge.mutable_data_ptr<int64_t>();
  const Scalar squared = Scalar(cutoff * cutoff);
  int64_t n = 0, centre = -1;    // first is set up to the centre
  for (int64_t e = 0; e < n_edges; e++) {
    TORCH_CHECK_INDEX(i[e] >= std::max<int64_t>(centre, 0) && i[e] < n_centres,
                      "mlip::bessel_edges: expected centres that do not decrease and are below ",
                      n_centres, ", got ", i[e], " for edge ", e);
    while (centre < i[e]) first[++centre] = n;
    const Scalar *r = v + 3 * e;
    kept[n] = e;
    to[n] = j[e];
    n += !(r[0] * r[0] + r[1] * r[1] + r[2] * r[2] >= squared);    // a NaN stays, to be seen
  }
  while (centre < n_centres) first[++centre] = n;
  return {edge.narrow(0, 0, n), first_edge, neighbor.narrow(0, 0, n)};
}

using Result = std::tuple<Tensor, Tensor, Tensor, Tensor>;

Result edges_of(const Tensor &edge_index_of, const Tensor &vectors_of, int64_t n_basis,
                double cutoff, int64_t n_centres, Tensor *kept)
{
  const Tensor edge_index = edge_index_of.contiguous(), vectors = vectors_of.contiguous();
  Near near;
  Tensor radial, unit;
  AT_DISPATCH_FLOATING_TYPES(vectors.scalar_type(), "mlip::bessel_edges", [&] {
    near = near_edges<scalar_t>(edge_index, vectors, cutoff, n_centres);
    const int64_t n = near.edge.size(0);
    radial = at::empty({n, n_basis}, vectors.options());
    unit = at::empty({n, 3}, vectors.options());
    BesselProblem<scalar_t> p = {};
    p.n_basis = n_basis;
    p.cutoff = scalar_t(cutoff);
    p.vectors = vectors.const_data_ptr<scalar_t>();
    p.edge = near.edge.const_data_ptr<int64_t>();
    p.radial = radial.mutable_data_ptr<scalar_t>();
    p.unit = unit.mutable_data_ptr<scalar_t>();
    const auto loop = fastest_bessel_kernels<scalar_t>().radial;
    at::parallel_for(0, n, GRAIN, [&](int64_t begin, int64_t end) { loop(p, begin, end); });
  });
  if (kept) *kept = near.edge;
  return {near.first_edge, near.neighbor, radial, unit};
}

Tensor by_vectors_of(const Tensor &vectors_of, const Tensor &kept, int64_t n_basis, double cutoff,
                     const Tensor &by_radial_of, const Tensor &by_unit_of)
{
  const Tensor vectors = vectors_of.contiguous();
  const Tensor by_radial = by_radial_of.contiguous(), by_unit = by_unit_of.contiguous();
  Tensor result = at::zeros_like(vectors);
  AT_DISPATCH_FLOATING_TYPES(vectors.scalar_type(), "mlip::bessel_edges", [&] {
    BesselProblem<scalar_t> p = {};
    p.n_basis = n_basis;
    p.cutoff = scalar_t(cutoff);
    p.vectors = vectors.const_data_ptr<scalar_t>();
    p.edge = kept.const_data_ptr<int64_t>();
    p.by_radial = by_radial.const_data_ptr<scalar_t>();
    p.by_unit = by_unit.const_data_ptr<scalar_t>();
    p.by_vectors = result.mutable_data_ptr<scalar_t>();
    const auto loop = fastest_bessel_kernels<scalar_t>().by_vectors;
    at::parallel_for(0, kept.size(0), GRAIN,
                     [&](int64_t begin, int64_t end) { loop(p, begin, end); });
  });
  return result;
}

// the same for edges that are near, differentiable to any order
variable_list composed(const Tensor &vectors, int64_t n_basis, double cutoff)
{
  const Tensor r = at::linalg_vector_norm(vectors, 2, {1}, true);    // (E', 1)
  const Tensor x = r / cutoff, x_6 = x.pow(6);
  const Tensor envelope = 1.0 - x_6 * (28.0 - 48.0 * x + 21.0 * x * x);
  const Tensor k = at::arange(1, n_basis + 1, vectors.options()) * (M_PI / cutoff);
  return {at::sin(r * k) * (std::sqrt(2.0 / cutoff) * envelope / r), vectors / r};
}

struct Bessel : Function<Bessel> {
  static variable_list forward(AutogradContext *context, const Tensor &edge_index,
                               const Tensor &vectors, int64_t n_basis, double cutoff,
                               int64_t n_centres)
  {
    at::AutoDispatchBelowADInplaceOrView below;
    Tensor kept;
    const auto [first_edge, neighbor, radial, unit] =
        edges_of(edge_index, vectors, n_basis, cutoff, n_centres, &kept);
    context->save_for_backward({vectors, kept});
    context->saved_data["n_basis"] = n_basis;
    context->saved_data["cutoff"] = cutoff;
    context->mark_non_differentiable({first_edge, neighbor});
    return {first_edge, neighbor, radial, unit};
  }

  static variable_list backward(AutogradContext *context, variable_list gradients)
  {
    const auto saved = context->get_saved_variables();
    const Tensor vectors = saved[0], kept = saved[1];
    const int64_t n_basis = context->saved_data["n_basis"].toInt(), n = kept.size(0);
    const double cutoff = context->saved_data["cutoff"].toDouble();
    if (!gradients[2].defined()) gradients[2] = at::zeros({n, n_basis}, vectors.options());
    if (!gradients[3].defined()) gradients[3] = at::zeros({n, 3}, vectors.options());
    variable_list result(5);
    if (at::GradMode::is_enabled()) {
      at::AutoGradMode enabled(true);
      const Tensor alias = vectors.alias();
      const auto found = composed(alias.index_select(0, kept), n_basis, cutoff);
      result[1] =
          torch::autograd::grad(found, {alias}, {gradients[2], gradients[3]}, true, true)[0];
    } else {
      result[1] = by_vectors_of(vectors, kept, n_basis, cutoff, gradients[2], gradients[3]);
    }
    return result;
  }
};

Result bessel_edges(const Tensor &edge_index, const Tensor &vectors, int64_t n_basis, double cutoff,
                    int64_t n_centres)
{
  check(edge_index, vectors, n_basis, cutoff, n_centres);
  return edges_of(edge_index, vectors, n_basis, cutoff, n_centres, nullptr);
}

Result bessel_edges_with_gradient(const Tensor &edge_index, const Tensor &vectors, int64_t n_basis,
                                  double cutoff, int64_t n_centres)
{
  check(edge_index, vectors, n_basis, cutoff, n_centres);
  if (at::GradMode::is_enabled() && vectors.requires_grad()) {
    const auto found = Bessel::apply(edge_index, vectors, n_basis, cutoff, n_centres);
    return {found[0], found[1], found[2], found[3]};
  }
  at::AutoDispatchBelowADInplaceOrView below;
  return edges_of(edge_index, vectors, n_basis, cutoff, n_centres, nullptr);
}

// Several copies of this library may come into one process, from Python and from LAMMPS: the first one registers.
const std::unique_ptr<torch::Library> library = []() -> std::unique_ptr<torch::Library> {
  if (c10::Dispatcher::singleton().findSchema({"mlip::bessel_edges", ""})) return nullptr;
  auto mlip = std::make_unique<torch::Library>(torch::Library::FRAGMENT, "mlip", std::nullopt,
                                               __FILE__, __LINE__);
  mlip->def("bessel_edges(Tensor edge_index, Tensor edge_vectors, int n_basis, float cutoff, int "
            "n_centres) -> (Tensor, Tensor, Tensor, Tensor)");
  mlip->impl("bessel_edges", torch::dispatch(c10::DispatchKey::CPU, TORCH_FN(bessel_edges)));
  mlip->impl("bessel_edges",
             torch::dispatch(c10::DispatchKey::AutogradCPU, TORCH_FN(bessel_edges_with_gradient)));
  return mlip;
}();

}    // namespace

}    // namespace mlip
