// Libraries of operators that model files call beside those of torch.

#ifndef MLIP_EXTENSIONS_H
#define MLIP_EXTENSIONS_H

#include <string>
#include <vector>

namespace mlip {

/// Make libraries of operators available, by the names under which they register. What is not registered yet is looked
/// for in the shared libraries that the environment variable MLIP_EXTENSIONS names, separated by colons. Throws
/// std::runtime_error with a message for the user if one is missing.
void load_extensions(const std::vector<std::string> &names);

}    // namespace mlip

#endif
