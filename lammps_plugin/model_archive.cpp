#include "model_archive.h"

#include "elements.h"
#include "sha256.h"
#include "torch_error.h"

#include <c10/util/Exception.h>
#include <caffe2/serialize/inline_container.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <vector>

namespace mlip {

#ifdef MLIP_JSON_OF_LAMMPS
using Json = nlohmann_lmp::json;
#else
using Json = nlohmann::json;
#endif

static constexpr int FIRST_VERSION = 1, LAST_VERSION = 2;    // of the contract
static constexpr const char *METADATA_RECORD = "extra/metadata.json";

namespace {

[[noreturn]] void fail(const std::string &message)
{
  throw std::runtime_error(message);
}

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

// one of the errors that the file says its model has; 0 if it does not
double error_of(const Json &metadata, const char *name)
{
  const auto errors = metadata.find("errors");
  if (errors == metadata.end() || !errors->is_object()) return 0.0;
  const auto found = errors->find(name);
  return found != errors->end() && found->is_number() ? found->get<double>() : 0.0;
}

// |C - NC| of an atom that the training does not explain, as mlip_engines/model/disagreement_limit.py has it; 0 if
// the file does not say how far the forces differ
double limit_of_disagreement(const Json &metadata)
{
  const double over_largest = 1.5, over_rms = 10.0;
  const double largest = error_of(metadata, "max_c_minus_nc");
  return largest > 0.0 ? over_largest * largest : over_rms * error_of(metadata, "rms_c_minus_nc");
}

std::vector<PropertyInfo> properties_of(const Json &metadata)
{
  std::vector<PropertyInfo> properties;
  const auto found = metadata.find("properties");
  if (found == metadata.end() || !found->is_array()) return properties;
  for (const auto &each : *found) {
    PropertyInfo property{entry<std::string>(each, "name"), entry<std::string>(each, "unit"),
                          entry<std::string>(each, "pooling")};
    if (property.pooling != "sum" && property.pooling != "mean" && property.pooling != "attention")
      fail("the property " + property.name + " is pooled by '" + property.pooling +
           "', which this version of pair style mlip does not know. Upgrade mlip-engines and run: "
           "mlip-lammps build");
    properties.push_back(property);
  }
  return properties;
}

ModelInfo parse_metadata(const std::string &text)
{
  const Json metadata = Json::parse(text, nullptr, false);
  if (!metadata.is_object())
    fail("the metadata are not a JSON object. Export the model again with mlip-export");

  const int version = entry<int>(metadata, "contract_version");
  if (version < FIRST_VERSION || version > LAST_VERSION)
    fail("expected contract version " + std::to_string(FIRST_VERSION) + " or " +
         std::to_string(LAST_VERSION) + ", the file has " + std::to_string(version) +
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
  info.rms_c_minus_nc = error_of(metadata, "rms_c_minus_nc");
  info.disagreement_limit = limit_of_disagreement(metadata);
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

  info.properties = properties_of(metadata);
  if (metadata.contains("structure_inputs"))
    info.structure_inputs = entry<std::vector<std::string>>(metadata, "structure_inputs");
  for (const auto &name : info.structure_inputs)
    if (name != "total_charge" && name != "spin_multiplicity")
      fail("the model depends on " + name +
           ", which this version of pair style mlip cannot give it. Upgrade mlip-engines and run: "
           "mlip-lammps build");
  info.extensions = {"mlip"};    // of files that do not say it
  if (metadata.contains("extensions"))
    info.extensions = entry<std::vector<std::string>>(metadata, "extensions");

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

}    // namespace

/* ---------------------------------------------------------------------- */

ModelInfo read_model_info(const std::string &path)
{
  if (std::filesystem::is_directory(path)) fail("expected a file, got a directory");
  try {
    caffe2::serialize::PyTorchStreamReader archive(path);
    const ModelInfo info = parse_metadata(read_metadata_text(archive));
    const std::string found = checksum_of(archive);
    if (found != info.checksum)
      fail("the file is damaged: expected checksum " + info.checksum + ", got " + found +
           ". Copy or export it again");
    return info;
  } catch (const c10::Error &error) {
    fail("expected a model written by mlip-export, got something else or a damaged file (" +
         brief(error) + ")");
  }
}

}    // namespace mlip
