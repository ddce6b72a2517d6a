// The model file that pair_coeff names: where it is, and the model in it.

#ifndef MLIP_MODEL_FILE_H
#define MLIP_MODEL_FILE_H

#include "model.h"

#include "pointers.h"

#include <map>
#include <memory>
#include <string>

namespace mlip {

class Agreement;

class ModelFile : protected LAMMPS_NS::Pointers {
 public:
  ModelFile(LAMMPS_NS::LAMMPS *lmp, Agreement &processes) : Pointers(lmp), processes_(processes) {}

  /// Find and open the file; the same one on all processes. Ends the simulation with an error if it cannot be used.
  void load(const std::string &name, const std::string &device);
  bool is_loaded() const { return model_ != nullptr; }

  /// Total charge and spin multiplicity have to be given exactly if the model depends on them.
  void require_structure_inputs(const std::map<std::string, double> &given) const;

  Model &model() const { return *model_; }
  const ModelInfo &info() const { return model_->info(); }
  const std::string &path() const { return path_; }

  bool has_same_model(const ModelFile &other) const { return model_ == other.model_; }

  /// A file of this name or with .pt, in the current folder or in LAMMPS_POTENTIALS; empty if there is none.
  static std::string find(const std::string &name);

 private:
  std::string on_this_machine() const;
  void require_one_file();

  Agreement &processes_;
  std::string path_;
  std::shared_ptr<Model> model_;
};

}    // namespace mlip

#endif
