// A model that libtorch evaluates: a TorchScript program on a device.

#include "torch_model.h"

#include "extensions.h"
#include "memory_policy.h"
#include "model.h"
#include "model_archive.h"
#include "torch_error.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/cuda.h>
#include <torch/script.h>
#include <torch/version.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace mlip {

namespace {

[[noreturn]] void fail(const std::string &message)
{
  throw std::runtime_error(message);
}

/* ----------------------------------------------------------------------
   tensors
------------------------------------------------------------------------- */

template <typename Scalar>
torch::Tensor view(const std::vector<Scalar> &values, at::IntArrayRef shape)
{
  // libtorch only reads it; from_blob has no const form
  return torch::from_blob(const_cast<Scalar *>(values.data()), shape,
                          c10::CppTypeToScalarType<Scalar>::value);
}

torch::Tensor output(const c10::Dict<c10::IValue, c10::IValue> &outputs, const char *key,
                     at::IntArrayRef shape)
{
  const auto found = outputs.find(key);
  if (found == outputs.end()) fail(std::string("the model did not return '") + key + "'");
  torch::Tensor tensor = found->value().toTensor();
  if (tensor.sizes() != shape)
    fail(std::string("the model returned '") + key + "' with an unexpected shape: expected " +
         c10::str(shape) + ", got " + c10::str(tensor.sizes()));
  return tensor.detach().to(torch::kCPU, torch::kFloat64).contiguous();
}

void copy(const torch::Tensor &tensor, std::vector<double> &values)
{
  const double *data = tensor.const_data_ptr<double>();
  values.assign(data, data + tensor.numel());
}

// processes that share the GPUs of a machine, as with mpiexec and -partition, take one each
int local_rank()
{
  for (const char *name : {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"})
    if (const char *value = std::getenv(name)) return std::max(0, std::atoi(value));
  return 0;
}

torch::Device choose_device(const std::string &name)
{
  if (name == "cpu") return torch::kCPU;
  const int n_gpus = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count())
                                                 : 0;
  if (n_gpus == 0) {
    if (name == "auto") return torch::kCPU;
    fail("device " + name +
         " was asked for, but this libtorch finds no usable GPU. Use device cpu");
  }
  if (name == "auto" || name == "cuda") return torch::Device(torch::kCUDA, local_rank() % n_gpus);
  const int index = std::atoi(name.c_str() + 5);    // cuda:N
  if (index >= n_gpus)
    fail("device " + name + " was asked for, but this libtorch finds " + std::to_string(n_gpus) +
         " GPU(s), counted from 0");
  return torch::Device(torch::kCUDA, index);
}

// last argument of both, for models that have it
c10::Dict<std::string, torch::Tensor> structure_of(const LocalGraph &graph,
                                                   const torch::Device &device)
{
  c10::Dict<std::string, torch::Tensor> structure;
  for (const auto &[name, value] : graph.structure_inputs)
    structure.insert(name, torch::tensor(value, torch::dtype(torch::kFloat64).device(device)));
  return structure;
}

// inputs of both entry points of the exported module
std::vector<c10::IValue> inputs_of(const LocalGraph &graph, const torch::Device &device)
{
  const int64_t n_atoms = graph.n_atoms(), n_edges = graph.n_edges();
  torch::Tensor owned = torch::zeros({n_atoms}, torch::kBool);
  owned.narrow(0, 0, graph.n_counted).fill_(true);
  return {view(graph.atomic_numbers, {n_atoms}).to(device),
          view(graph.edge_index, {2, n_edges}).to(device),
          view(graph.edge_vectors, {n_edges, 3}).to(device),
          view(graph.reverse_edge, {n_edges}).to(device), owned.to(device)};
}

/* ----------------------------------------------------------------------
   Without TorchScript's optimizer: it specialises for the shapes it has seen, and the number of
   edges changes from step to step. For a message-passing network of 192 atoms on one CPU core a
   conservative step took 73 ms with it and 57 ms without, a non-conservative one 27 and 18 ms.
   Only while a model is evaluated: a Python process that runs LAMMPS may use TorchScript as well.
------------------------------------------------------------------------- */

struct WithoutOptimizer : torch::jit::GraphOptimizerEnabledGuard {
  WithoutOptimizer() : GraphOptimizerEnabledGuard(false) {}
};

// what the operator mlip::exchange talks to while a model is evaluated
class ExchangeInUse {
 public:
  explicit ExchangeInUse(FeatureExchange *exchange) : is_set_(exchange != nullptr)
  {
    if (is_set_) set(exchange);
  }
  ~ExchangeInUse()
  {
    if (is_set_) set(nullptr);
  }
  ExchangeInUse(const ExchangeInUse &) = delete;
  ExchangeInUse &operator=(const ExchangeInUse &) = delete;

 private:
  static void set(FeatureExchange *exchange)
  {
    const auto operation = c10::Dispatcher::singleton().findSchema({"mlip::set_exchange", ""});
    if (!operation)
      fail("parallel exchange needs compiled operators, and this process has others already. Run: "
           "mlip-lammps build");
    operation->typed<void(int64_t)>().call(reinterpret_cast<int64_t>(exchange));
  }

  bool is_set_;
};

class TorchModel : public Model {
 public:
  TorchModel(const std::string &path, const std::string &device_name) : device_(torch::kCPU)
  {
    info_ = read_model_info(path);
    load_extensions(info_.extensions);
    device_ = choose_device(device_name);
    info_.device = device_.str();
    if (device_.is_cpu()) keep_memory();
    module_ = translated("TorchScript cannot load the model",
                         [&] { return torch::jit::load(path, device_); });
    module_.eval();
    info_.has_centroid_virials = info_.message_passing_layers == 1 ||
                                 module_.find_method("centroid_virials").has_value();
  }

  const ModelInfo &info() const override { return info_; }

  void evaluate(const LocalGraph &graph, bool with_non_conservative, bool with_atomic_virials,
                FeatureExchange *exchange, Evaluation &result) override
  {
    translated("the evaluation of the model failed", [&] {
      const ExchangeInUse in_use(exchange);
      const WithoutOptimizer as_written;
      auto inputs = inputs_of(graph, device_);
      inputs.emplace_back(with_non_conservative);
      inputs.emplace_back(with_atomic_virials);
      if (!info_.structure_inputs.empty()) inputs.emplace_back(structure_of(graph, device_));
      const auto outputs = module_.get_method("evaluate")(std::move(inputs)).toGenericDict();

      const int64_t n_atoms = graph.n_atoms();
      result.energy = output(outputs, "energy", {}).item<double>();
      copy(output(outputs, "atomic_energies", {n_atoms}), result.atomic_energies);
      copy(output(outputs, "forces", {n_atoms, 3}), result.forces);
      const torch::Tensor virial = output(outputs, "virial", {3, 3});
      std::memcpy(result.virial, virial.const_data_ptr<double>(), sizeof(result.virial));
      result.direct.forces.clear();
      if (with_non_conservative) copy_non_conservative(outputs, n_atoms, result.direct);
      result.atomic_virials.clear();
      result.centroid_virials.clear();
      if (with_atomic_virials) {
        copy(output(outputs, "atomic_virials", {n_atoms, 3, 3}), result.atomic_virials);
        if (outputs.find("centroid_virials") != outputs.end())
          copy(output(outputs, "centroid_virials", {n_atoms, 3, 3}), result.centroid_virials);
      }
    });
  }

  void non_conservative(const LocalGraph &graph, FeatureExchange *exchange,
                        NonConservative &result) override
  {
    translated("the evaluation of the non-conservative forces failed", [&] {
      const ExchangeInUse in_use(exchange);
      const WithoutOptimizer as_written;
      const torch::NoGradGuard no_gradient;
      auto inputs = inputs_of(graph, device_);
      if (!info_.structure_inputs.empty()) inputs.emplace_back(structure_of(graph, device_));
      const auto outputs =
          module_.get_method("non_conservative")(std::move(inputs)).toGenericDict();
      copy_non_conservative(outputs, graph.n_atoms(), result);
    });
  }

  void centroid_virials(const LocalGraph &graph, const std::vector<double> &positions,
                        std::vector<double> &result) override
  {
    translated("the evaluation of the centroid virials failed", [&] {
      const WithoutOptimizer as_written;
      const int64_t n_atoms = graph.n_atoms();
      auto inputs = inputs_of(graph, device_);
      inputs.emplace_back(view(positions, {n_atoms, 3}).to(device_));
      if (!info_.structure_inputs.empty()) inputs.emplace_back(structure_of(graph, device_));
      const auto outputs =
          module_.get_method("centroid_virials")(std::move(inputs)).toGenericDict();
      copy(output(outputs, "centroid_virials", {n_atoms, 3, 3}), result);
    });
  }

  void properties(const LocalGraph &graph, FeatureExchange *exchange,
                  PropertyTerms &result) override
  {
    translated("the evaluation of the properties failed", [&] {
      const ExchangeInUse in_use(exchange);
      const WithoutOptimizer as_written;
      const torch::NoGradGuard no_gradient;
      auto inputs = inputs_of(graph, device_);
      if (!info_.structure_inputs.empty()) inputs.emplace_back(structure_of(graph, device_));
      const auto outputs = module_.get_method("properties")(std::move(inputs)).toGenericDict();
      const auto n_properties = static_cast<int64_t>(info_.properties.size());
      copy(output(outputs, "property_values", {graph.n_atoms(), n_properties}), result.values);
      copy(output(outputs, "property_scores", {graph.n_atoms(), n_properties}), result.scores);
    });
  }

 private:
  void copy_non_conservative(const c10::Dict<c10::IValue, c10::IValue> &outputs, int64_t n_atoms,
                             NonConservative &result) const
  {
    copy(output(outputs, "non_conservative_forces", {n_atoms, 3}), result.forces);
    if (!info_.has_non_conservative_stress) return;
    const torch::Tensor virial = output(outputs, "non_conservative_virial", {3, 3});
    std::memcpy(result.virial, virial.const_data_ptr<double>(), sizeof(result.virial));
  }

  ModelInfo info_;
  torch::Device device_;
  torch::jit::Module module_;
};

}    // namespace

static void set_up_runtime(int n_threads)
{
  const std::string expected = "TORCH_VERSION=" + std::to_string(TORCH_VERSION_MAJOR) + "." +
                               std::to_string(TORCH_VERSION_MINOR) + "." +
                               std::to_string(TORCH_VERSION_PATCH);
  if (at::show_config().find(expected) == std::string::npos)
    fail("this plugin was compiled for another version of torch (" + expected +
         "). Compile it again: mlip-lammps build");

  at::set_num_threads(n_threads);
}

}    // namespace mlip

mlip::Model *mlip_load_model(const std::string &path, const std::string &device, int n_threads)
{
  mlip::set_up_runtime(n_threads);
  return new mlip::TorchModel(path, device);
}
