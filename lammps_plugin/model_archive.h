// A model file as an archive: its metadata, and the checksum of the program in it. Nothing in the file
// is run.

#ifndef MLIP_MODEL_ARCHIVE_H
#define MLIP_MODEL_ARCHIVE_H

#include "model.h"

#include <string>

namespace mlip {

/// Read what the file says about its model, all but the device. Throws std::runtime_error with a message for the user
/// if it is no model file, is damaged, or follows another contract.
ModelInfo read_model_info(const std::string &path);

}    // namespace mlip

#endif
