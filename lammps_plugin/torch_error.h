// Errors of libtorch as messages for a user.

#ifndef MLIP_TORCH_ERROR_H
#define MLIP_TORCH_ERROR_H

#include <exception>
#include <stdexcept>
#include <string>

namespace mlip {

/// The message without the C++ and TorchScript stack traces that libtorch appends to it.
std::string brief(const std::exception &error);

/// Call `function()`; what it throws becomes a std::runtime_error with "DOING: MESSAGE".
template <typename Function> auto translated(const char *doing, Function &&function)
{
  try {
    return function();
  } catch (const std::exception &error) {
    throw std::runtime_error(std::string(doing) + ": " + brief(error));
  }
}

}    // namespace mlip

#endif
