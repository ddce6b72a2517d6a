// The operator mlip::near_edges: of the pairs in a list that reaches further than the cutoff, the edges within it.
//
// A pair is looked at once and gives both of its edges, so that a graph has both or none, with opposite vectors bit by
// bit. The list is read at each evaluation of a network that has just emptied the caches: it is half a list, of 32-bit
// integers.

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <memory>
#include <tuple>
#include <vector>

namespace mlip {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

namespace {

constexpr int32_t UNSEEN = -1;    // in place of an edge's number

void check(const Tensor &positions, const Tensor &cell, const Tensor &pairs, const Tensor &images,
           const Tensor &order)
{
  const int64_t n_pairs = images.size(0);
  TORCH_CHECK(positions.dim() == 2 && positions.size(1) == 3 && cell.dim() == 2 &&
                  cell.size(0) == 3 && cell.size(1) == 3 && pairs.dim() == 2 &&
                  pairs.size(0) == 2 && pairs.size(1) == n_pairs && images.dim() == 2 &&
                  images.size(1) == 3 && order.dim() == 1 && order.size(0) == 2 * n_pairs,
              "mlip::near_edges: expected positions (N, 3), cell (3, 3), pairs (2, H), "
              "images (H, 3) and order (2 H,), got ",
              positions.sizes(), ", ", cell.sizes(), ", ", pairs.sizes(), ", ", images.sizes(),
              " and ", order.sizes());
  TORCH_CHECK(positions.scalar_type() == at::kDouble && cell.scalar_type() == at::kDouble &&
                  pairs.scalar_type() == at::kInt && images.scalar_type() == at::kInt &&
                  order.scalar_type() == at::kInt,
              "mlip::near_edges: expected positions and cell in float64, pairs, images and order "
              "in int32, got ",
              positions.scalar_type(), ", ", cell.scalar_type(), ", ", pairs.scalar_type(), ", ",
              images.scalar_type(), " and ", order.scalar_type());
}

using EdgeList = std::tuple<Tensor, Tensor, Tensor>;    // edge_index, edge_vectors, reverse_edge

// cells: if it is given, the lattice vectors (E, 3) between the atoms of each edge, as numbers of cells
EdgeList find_edges(const Tensor &positions, const Tensor &cell, const Tensor &pairs,
                    const Tensor &images, const Tensor &order, double cutoff, Tensor *cells)
{
  check(positions, cell, pairs, images, order);
  const Tensor of_atoms = positions.contiguous(), of_cell = cell.contiguous(),
               of_pairs = pairs.contiguous(), of_images = images.contiguous(),
               of_order = order.contiguous();
  const int64_t n_atoms = of_atoms.size(0), n_pairs = of_images.size(0);
  const double *x = of_atoms.const_data_ptr<double>(), *a = of_cell.const_data_ptr<double>(),
               *b = a + 3, *c = a + 6;
  // the first atom of an edge, by its place in both directions of the list
  const int32_t *atom = of_pairs.const_data_ptr<int32_t>(),
                *image = of_images.const_data_ptr<int32_t>(),
                *directed = of_order.const_data_ptr<int32_t>();

  const auto opposite = [&](int64_t q) { return q < n_pairs ? q + n_pairs : q - n_pairs; };
  const auto vector = [&](int64_t q, double *d) {
    const bool is_forward = q < n_pairs;
    const int32_t *n = image + 3 * (is_forward ? q : q - n_pairs);
    const double *from = x + 3 * atom[q], *to = x + 3 * atom[opposite(q)];
    const double sign = is_forward ? 1.0 : -1.0;
    for (int k = 0; k < 3; k++)
      d[k] = to[k] - from[k] + sign * (n[0] * a[k] + n[1] * b[k] + n[2] * c[k]);
  };

  // No branch on what is near: no processor could foresee it.
  std::vector<uint8_t> is_near(n_pairs);
  int64_t n_near = 0;
  for (int64_t p = 0; p < n_pairs; p++) {
    TORCH_CHECK_INDEX(atom[p] >= 0 && atom[p] < n_atoms && atom[p + n_pairs] >= 0 &&
                          atom[p + n_pairs] < n_atoms,
                      "mlip::near_edges: atoms ", atom[p], " and ", atom[p + n_pairs], " of pair ",
                      p, " are not both among the ", n_atoms, " atoms");
    double d[3];
    vector(p, d);
    is_near[p] = d[0] * d[0] + d[1] * d[1] + d[2] * d[2] < cutoff * cutoff;
    n_near += is_near[p];
  }
  const int64_t n_edges = 2 * n_near;
  std::vector<int32_t> kept(2 * n_pairs + 1), number(2 * n_pairs, UNSEEN);
  int64_t found = 0;
  for (int64_t k = 0; k < 2 * n_pairs; k++) {
    const int64_t q = directed[k];
    TORCH_CHECK_INDEX(q >= 0 && q < 2 * n_pairs, "mlip::near_edges: order ", q,
                      " is not among the ", n_pairs, " pairs in both directions");
    TORCH_CHECK(number[q] == UNSEEN,
                "mlip::near_edges: expected each pair once in each direction in order, found ", q,
                " again");
    kept[found] = q;
    number[q] = found;
    found += is_near[q < n_pairs ? q : q - n_pairs];
  }
  Tensor edge_index = at::empty({2, n_edges}, of_pairs.options().dtype(at::kLong));
  Tensor vectors = at::empty({n_edges, 3}, of_atoms.options());
  Tensor reverse_edge = at::empty({n_edges}, edge_index.options());
  int64_t *centre = edge_index.mutable_data_ptr<int64_t>(), *neighbor = centre + n_edges,
          *reverse = reverse_edge.mutable_data_ptr<int64_t>();
  double *d = vectors.mutable_data_ptr<double>();
  for (int64_t e = 0; e < n_edges; e++) {
    const int64_t q = kept[e];
    centre[e] = atom[q];
    neighbor[e] = atom[opposite(q)];
    reverse[e] = number[opposite(q)];
    vector(q, d + 3 * e);
  }
  if (cells) {
    *cells = at::empty({n_edges, 3}, vectors.options());
    double *n = cells->mutable_data_ptr<double>();
    for (int64_t e = 0; e < n_edges; e++) {
      const bool is_forward = kept[e] < n_pairs;
      const int32_t *of_pair = image + 3 * (is_forward ? kept[e] : opposite(kept[e]));
      for (int k = 0; k < 3; k++) n[3 * e + k] = is_forward ? of_pair[k] : -of_pair[k];
    }
  }
  return {edge_index, vectors, reverse_edge};
}

EdgeList near_edges(const Tensor &positions, const Tensor &cell, const Tensor &pairs,
                    const Tensor &images, const Tensor &order, double cutoff)
{
  return find_edges(positions, cell, pairs, images, order, cutoff, nullptr);
}

// The vectors r_e = x[j] - x[i] + n_e cell of edges that have been found, as a function of positions and cell. Its
// derivative is made of operators that torch differentiates, so there are derivatives of any order.
struct Vectors : Function<Vectors> {
  static Tensor forward(AutogradContext *context, const Tensor &positions, const Tensor &,
                        const Tensor &vectors, const Tensor &edge_index, const Tensor &cells)
  {
    context->save_for_backward({edge_index, cells});
    context->saved_data["n_atoms"] = positions.size(0);
    return vectors.clone();
  }

  static variable_list backward(AutogradContext *context, const variable_list &gradients)
  {
    const auto saved = context->get_saved_variables();
    const Tensor &edge_index = saved[0], &cells = saved[1], &by_vector = gradients[0];
    const int64_t n_atoms = context->saved_data["n_atoms"].toInt();
    const Tensor by_position = at::zeros({n_atoms, 3}, by_vector.options())
                                   .index_add(0, edge_index[1], by_vector)
                                   .index_add(0, edge_index[0], by_vector, -1.0);
    return {by_position, cells.t().mm(by_vector), Tensor(), Tensor(), Tensor()};
  }
};

EdgeList near_edges_with_gradient(const Tensor &positions, const Tensor &cell, const Tensor &pairs,
                                  const Tensor &images, const Tensor &order, double cutoff)
{
  const bool is_differentiated =
      at::GradMode::is_enabled() && (positions.requires_grad() || cell.requires_grad());
  Tensor cells;
  const auto [edge_index, vectors, reverse_edge] = [&] {
    at::AutoDispatchBelowADInplaceOrView below;
    return find_edges(positions, cell, pairs, images, order, cutoff,
                      is_differentiated ? &cells : nullptr);
  }();
  if (!is_differentiated) return {edge_index, vectors, reverse_edge};
  return {edge_index, Vectors::apply(positions, cell, vectors, edge_index, cells), reverse_edge};
}

// Several copies of this library may come into one process, from Python and from LAMMPS: the first one registers.
const std::unique_ptr<torch::Library> library = []() -> std::unique_ptr<torch::Library> {
  if (c10::Dispatcher::singleton().findSchema({"mlip::near_edges", ""})) return nullptr;
  auto mlip = std::make_unique<torch::Library>(torch::Library::FRAGMENT, "mlip", std::nullopt,
                                               __FILE__, __LINE__);
  mlip->def("near_edges(Tensor positions, Tensor cell, Tensor pairs, Tensor images, Tensor order, "
            "float cutoff) -> (Tensor, Tensor, Tensor)");
  mlip->impl("near_edges", torch::dispatch(c10::DispatchKey::CPU, TORCH_FN(near_edges)));
  mlip->impl("near_edges",
             torch::dispatch(c10::DispatchKey::AutogradCPU, TORCH_FN(near_edges_with_gradient)));
  return mlip;
}();

}    // namespace

}    // namespace mlip
