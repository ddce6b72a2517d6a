// A model file as libtorch sees it: a TorchScript archive with its metadata inside.

#include "torch_model.h"

#include "model.h"
#include "elements.h"
#include "sha256.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/cuda.h>
#include <torch/script.h>
#include <torch/version.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace mlip {

#ifdef MLIP_JSON_OF_LAMMPS
using Json = nlohmann_lmp::json;
#else
using Json = nlohmann::json;
#endif

static constexpr int CONTRACT_VERSION = 1;
static constexpr const char *METADATA_RECORD = "extra/metadata.json";

namespace {

// Blocks of more than 32 MB, as tensors of large systems are, come from the operating system and go back to it in each
// evaluation, and it clears them page by page: a third of the time with 100,000 atoms. What one evaluation has had is
// kept for the next, unless the user has told glibc what to do.
void keep_memory()
{
#ifdef __GLIBC__
  for (const char *name : {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"})
    if (std::getenv(name)) return;
  mallopt(M_MMAP_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TRIM_THRESHOLD, -1);    // never
#endif
}

[[noreturn]] void fail(const std::string &message)
{
  throw std::runtime_error(message);
}

// libtorch appends C++ and TorchScript stack traces to its messages: keep what a user can read
std::string brief(const std::exception &error)
{
  const auto *torch_error = dynamic_cast<const c10::Error *>(&error);
  std::string message = torch_error ? torch_error->what_without_backtrace() : error.what();
  for (const std::string raised : {"\nRuntimeError: ", "\nbuiltins.RuntimeError: "}) {
    const auto found = message.rfind(raised);    // an error raised by the model itself
    if (found != std::string::npos) message = message.substr(found + raised.size());
  }
  const auto trace = message.find("\nException raised from");
  if (trace != std::string::npos) message.resize(trace);
  while (!message.empty() && std::isspace(static_cast<unsigned char>(message.back())))
    message.pop_back();
  return message;
}

// run a piece of libtorch and translate what it throws, once
template <typename Function> auto translated(const char *doing, Function &&function)
{
  try {
    return function();
  } catch (const std::exception &error) {
    fail(std::string(doing) + ": " + brief(error));
  }
}

/* ----------------------------------------------------------------------
   reading and checking the file
------------------------------------------------------------------------- */

bool is_checksummed(const std::string &record)
{
  for (const char *folder : {"code/", "data/", "constants/"})
    if (record.compare(0, std::strlen(folder), folder) == 0) return true;
  return record == "data.pkl" || record == "constants.pkl";
}

// hash of name, zero byte, length, content over the records that make up the program
std::string checksum_of(caffe2::serialize::PyTorchStreamReader &archive)
{
  std::vector<std::string> records = archive.getAllRecords();
  std::sort(records.begin(), records.end());
  Sha256 hash;
  for (const auto &record : records) {
    if (!is_checksummed(record)) continue;
    const auto [content, size] = archive.getRecord(record);
    uint8_t length[8];
    for (int k = 0; k < 8; k++) length[k] = uint8_t(uint64_t(size) >> (8 * k));
    hash.update(record.c_str(), record.size() + 1);
    hash.update(length, sizeof(length));
    hash.update(content.get(), size);
  }
  return "sha256:" + hash.hex_digest();
}

std::string read_metadata_text(caffe2::serialize::PyTorchStreamReader &archive)
{
  if (!archive.hasRecord(METADATA_RECORD))
    fail("expected a model written by mlip-export, got a TorchScript file without metadata. "
         "Export the model again with mlip-export");
  const auto [content, size] = archive.getRecord(METADATA_RECORD);
  return std::string(static_cast<const char *>(content.get()), size);
}

// a required entry of the metadata, with a message if it is missing or of another type
template <typename Type> Type entry(const Json &metadata, const char *key)
{
  if (!metadata.contains(key))
    fail(std::string("the metadata lack '") + key + "'. Export the model again with mlip-export");
  try {
    return metadata[key].get<Type>();
  } catch (const std::exception &) {
    fail(std::string("the metadata have an unexpected value for '") + key +
         "': " + metadata[key].dump() + ". Export the model again with mlip-export");
  }
}

ModelInfo parse_metadata(const std::string &text)
{
  const Json metadata = Json::parse(text, nullptr, false);
  if (!metadata.is_object())
    fail("the metadata are not a JSON object. Export the model again with mlip-export");

  const int version = entry<int>(metadata, "contract_version");
  if (version != CONTRACT_VERSION)
    fail("expected contract version " + std::to_string(CONTRACT_VERSION) + ", the file has " +
         std::to_string(version) +
         ". Export the model again with the mlip-engines this plugin was compiled from, or "
         "upgrade mlip-engines and run: mlip-lammps build");
  const auto energy_unit = entry<std::string>(metadata, "energy_unit");
  const auto length_unit = entry<std::string>(metadata, "length_unit");
  if (energy_unit != "eV" || length_unit != "Angstrom")
    fail("expected the units eV and Angstrom, the file has " + energy_unit + " and " + length_unit);

  ModelInfo info;
  info.name = entry<std::string>(metadata, "name");
  info.dtype = entry<std::string>(metadata, "dtype");
  info.checksum = entry<std::string>(metadata, "checksum");
  info.species = entry<std::vector<std::string>>(metadata, "species");
  info.cutoff = entry<double>(metadata, "cutoff");
  info.interaction_range = entry<double>(metadata, "interaction_range");
  const auto heads = entry<std::vector<std::string>>(metadata, "heads");
  const auto has = [&heads](const char *head) {
    return std::find(heads.begin(), heads.end(), head) != heads.end();
  };
  info.message_passing_layers = entry<int>(metadata, "message_passing_layers");
  info.has_non_conservative_forces = has("non_conservative_forces");
  info.has_non_conservative_stress = has("non_conservative_stress");
  info.has_feature_exchange =
      metadata.contains("feature_exchange") && entry<bool>(metadata, "feature_exchange");
  info.has_edge_exchange =
      metadata.contains("edge_exchange") && entry<bool>(metadata, "edge_exchange");

  if (metadata.contains("non_conservative_layers"))
    info.non_conservative_layers = entry<int>(metadata, "non_conservative_layers");
  // a file that does not say it: a head for stress may look at neighbours once more
  if (info.non_conservative_layers < 1)
    info.non_conservative_layers =
        info.message_passing_layers + (info.has_non_conservative_stress ? 1 : 0);
  info.most_layers = std::max(info.message_passing_layers, info.non_conservative_layers);
  info.interaction_range = std::max(info.interaction_range, info.cutoff * info.most_layers);

  if (!has("energy")) fail("the model has no energy head");
  if (!(info.cutoff > 0.0))
    fail("the cutoff must be positive, the file has " + std::to_string(info.cutoff));
  for (const auto &symbol : info.species)
    if (atomic_number_of(symbol) == 0) fail("the model names an unknown element: " + symbol);
  return info;
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

/* ---------------------------------------------------------------------- */

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
    if (std::filesystem::is_directory(path)) fail("expected a file, got a directory");
    const std::string not_a_model =
        "expected a model written by mlip-export, got something else or a damaged file";
    try {
      caffe2::serialize::PyTorchStreamReader archive(path);
      info_ = parse_metadata(read_metadata_text(archive));
      const std::string found = checksum_of(archive);
      if (found != info_.checksum)
        fail("the file is damaged: expected checksum " + info_.checksum + ", got " + found +
             ". Copy or export it again");
    } catch (const c10::Error &error) {
      fail(not_a_model + " (" + brief(error) + ")");
    }
    device_ = choose_device(device_name);
    info_.device = device_.str();
    if (device_.is_cpu()) keep_memory();
    module_ = translated("TorchScript cannot load the model",
                         [&] { return torch::jit::load(path, device_); });
    module_.eval();
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
      const auto outputs =
          module_.get_method("non_conservative")(inputs_of(graph, device_)).toGenericDict();
      copy_non_conservative(outputs, graph.n_atoms(), result);
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
