// The model that a restart file names, until pair_coeff or the file itself has brought one back; and
// the texts that this style writes to restart files.

#ifndef MLIP_RESTARTED_MODEL_H
#define MLIP_RESTARTED_MODEL_H

#include "pointers.h"

#include <cstdio>
#include <string>

namespace mlip {

class ModelFile;

class RestartedModel : protected LAMMPS_NS::Pointers {
 public:
  explicit RestartedModel(LAMMPS_NS::LAMMPS *lmp) : Pointers(lmp) {}

  /// A restart file was written with the model of this checksum, empty if with none.
  void expect(const std::string &checksum) { checksum_ = checksum; }
  const std::string &expected() const { return checksum_; }

  /// That model cannot be used: an error when a run begins, unless pair_coeff names another one before.
  void refuse(const std::string &problem);
  void require_usable() const;

  /// pair_coeff has named this model: a warning if it is another one.
  void replace(const ModelFile &file);

  /// A text to a restart file, which one process writes, and from it, on all processes.
  static void write_text(const std::string &text, FILE *file);
  std::string read_text(FILE *file) const;

 private:
  std::string checksum_, problem_;
};

}    // namespace mlip

#endif
