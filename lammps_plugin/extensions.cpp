#include "extensions.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <cstdlib>
#include <dlfcn.h>
#include <set>
#include <sstream>
#include <stdexcept>

namespace mlip {

static constexpr char VARIABLE[] = "MLIP_EXTENSIONS";

// names before the colons of mlip::exchange and all other operators of this process
static std::set<std::string> registered()
{
  std::set<std::string> names;
  for (const auto &op : c10::Dispatcher::singleton().getAllOpNames())
    names.insert(op.name.substr(0, op.name.find("::")));
  return names;
}

static std::string missing_of(const std::vector<std::string> &names)
{
  const auto present = registered();
  std::string missing;
  for (const auto &name : names)
    if (!present.count(name)) missing += (missing.empty() ? "" : ", ") + name;
  return missing;
}

void load_extensions(const std::vector<std::string> &names)
{
  if (missing_of(names).empty()) return;
  const char *libraries = std::getenv(VARIABLE);
  std::istringstream paths(libraries ? libraries : "");
  for (std::string path; std::getline(paths, path, ':');) {
    // never closed: what it registers stays
    if (!path.empty() && !dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE))
      throw std::runtime_error("cannot load " + path + ", which the environment variable " +
                               VARIABLE + " names: " + dlerror());
  }
  const std::string missing = missing_of(names);
  if (!missing.empty())
    throw std::runtime_error("the model needs the operators " + missing +
                             ", which no loaded library has. Name the shared library of the "
                             "package that brings them in the environment variable " +
                             VARIABLE);
}

}    // namespace mlip
