// The operator mlip::exchange: features of the atoms that this process evaluates to features of all atoms of its graph.
// Its adjoint adds up, where an atom is evaluated, what all processes have for it. The operator mlip::swap_edges:
// features of edges to those of their reverses on other processes, and its own adjoint. Without an engine that has divided
// the atoms among processes all atoms are evaluated here, and networks leave the operators out.

#include "exchange.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <memory>

namespace mlip {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

namespace {

// of the evaluation that is going on; one for all threads, as derivatives on a GPU come from another one
static FeatureExchange *current = nullptr;

FeatureExchange &partner()
{
  TORCH_CHECK(current, "mlip::exchange: expected an engine that exchanges features, found none");
  return *current;
}

// CPU memory, whatever the device: messages start and end there
Tensor on_cpu(const Tensor &rows)
{
  return rows.to(at::kCPU).contiguous();
}

Tensor spread(const Tensor &features)
{
  FeatureExchange &exchange = partner();
  TORCH_CHECK(features.dim() == 2 && features.size(0) == exchange.n_evaluated(),
              "mlip::exchange: expected features (", exchange.n_evaluated(), ", C), got ",
              features.sizes());
  const Tensor from = on_cpu(features);
  Tensor to = at::empty({exchange.n_atoms(), from.size(1)}, from.options());
  AT_DISPATCH_FLOATING_TYPES(from.scalar_type(), "mlip::exchange", [&] {
    exchange.spread(from.const_data_ptr<scalar_t>(), to.data_ptr<scalar_t>(), from.size(1));
  });
  return to.to(features.device());
}

Tensor collect(const Tensor &features)
{
  FeatureExchange &exchange = partner();
  const Tensor from = on_cpu(features);
  Tensor to = at::empty({exchange.n_evaluated(), from.size(1)}, from.options());
  AT_DISPATCH_FLOATING_TYPES(from.scalar_type(), "mlip::exchange", [&] {
    exchange.collect(from.const_data_ptr<scalar_t>(), to.data_ptr<scalar_t>(), from.size(1));
  });
  return to.to(features.device());
}

struct Spread : Function<Spread> {
  static Tensor forward(AutogradContext *, const Tensor &features)
  {
    at::AutoDispatchBelowADInplaceOrView below;
    return spread(features);
  }
  static variable_list backward(AutogradContext *, const variable_list &gradients);
};

struct Collect : Function<Collect> {
  static Tensor forward(AutogradContext *, const Tensor &features)
  {
    at::AutoDispatchBelowADInplaceOrView below;
    return collect(features);
  }
  static variable_list backward(AutogradContext *, const variable_list &gradients)
  {
    return {Spread::apply(gradients[0])};
  }
};

variable_list Spread::backward(AutogradContext *, const variable_list &gradients)
{
  return {Collect::apply(gradients[0])};
}

Tensor swap_edges(const Tensor &rows)
{
  FeatureExchange &exchange = partner();
  TORCH_CHECK(rows.dim() == 2 && rows.size(0) == exchange.n_reverse_edges(),
              "mlip::swap_edges: expected features (", exchange.n_reverse_edges(), ", C), got ",
              rows.sizes());
  const Tensor from = on_cpu(rows);
  Tensor to = at::empty_like(from);
  AT_DISPATCH_FLOATING_TYPES(from.scalar_type(), "mlip::swap_edges", [&] {
    exchange.swap(from.const_data_ptr<scalar_t>(), to.data_ptr<scalar_t>(), from.size(1));
  });
  return to.to(rows.device());
}

struct Swap : Function<Swap> {
  static Tensor forward(AutogradContext *, const Tensor &rows)
  {
    at::AutoDispatchBelowADInplaceOrView below;
    return swap_edges(rows);
  }
  static variable_list backward(AutogradContext *, const variable_list &gradients)
  {
    return {Swap::apply(gradients[0])};
  }
};

Tensor swap_edges_with_gradient(const Tensor &rows)
{
  return Swap::apply(rows);
}

Tensor exchange_with_gradient(const Tensor &features)
{
  return Spread::apply(features);
}

int64_t evaluated_atoms(int64_t n_atoms)
{
  return current ? current->n_evaluated() : n_atoms;
}

int64_t reverse_edges_elsewhere(int64_t)
{
  return current ? current->n_reverse_edges() : 0;
}

// the numbers of atoms and edges are there so that nobody takes these for constants
bool is_exchanging(int64_t)
{
  return current != nullptr;
}

// An address as an integer: whoever sets it may have another copy of this library than the one that registered.
void set_exchange(int64_t address)
{
  current = reinterpret_cast<FeatureExchange *>(address);
}

const std::unique_ptr<torch::Library> library = []() -> std::unique_ptr<torch::Library> {
  if (c10::Dispatcher::singleton().findSchema({"mlip::exchange", ""})) return nullptr;
  auto mlip = std::make_unique<torch::Library>(torch::Library::FRAGMENT, "mlip", std::nullopt,
                                               __FILE__, __LINE__);
  mlip->def("exchange(Tensor features) -> Tensor");
  mlip->impl("exchange",
             torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, TORCH_FN(spread)));
  mlip->impl("exchange",
             torch::dispatch(c10::DispatchKey::Autograd, TORCH_FN(exchange_with_gradient)));
  mlip->def("swap_edges(Tensor features) -> Tensor");
  mlip->impl("swap_edges",
             torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, TORCH_FN(swap_edges)));
  mlip->impl("swap_edges",
             torch::dispatch(c10::DispatchKey::Autograd, TORCH_FN(swap_edges_with_gradient)));
  mlip->def("reverse_edges_elsewhere(int n_edges) -> int", TORCH_FN(reverse_edges_elsewhere));
  mlip->def("evaluated_atoms(int n_atoms) -> int", TORCH_FN(evaluated_atoms));
  mlip->def("is_exchanging(int n_atoms) -> bool", TORCH_FN(is_exchanging));
  mlip->def("set_exchange(int address) -> ()", TORCH_FN(set_exchange));
  return mlip;
}();

}    // namespace

}    // namespace mlip
