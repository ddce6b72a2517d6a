#include "torch_error.h"

#include <c10/util/Exception.h>

#include <cctype>

namespace mlip {

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

}    // namespace mlip
