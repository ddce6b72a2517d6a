// The one entry point of the library that is linked to libtorch. The pair style opens that library
// when it first needs a model and looks this function up by name.

#ifndef MLIP_TORCH_MODEL_H
#define MLIP_TORCH_MODEL_H

#include "model.h"

#include <string>

extern "C" {

/// Read and check a model file. `device` is "cpu", "cuda", "cuda:N" or "auto". The caller owns the
/// result. Throws std::exception with a message for the user.
__attribute__((visibility("default"))) mlip::Model *
mlip_load_model(const std::string &path, const std::string &device, int n_threads);
}

#endif
