// Opens the library that is linked to libtorch, on first use. It lies beside the plugin.

#include "model.h"

#include <dlfcn.h>
#include <filesystem>
#include <map>
#include <stdexcept>

namespace mlip {

using LoadFunction = Model *(*) (const std::string &, const std::string &, int);

static std::string directory_of_plugin()
{
  Dl_info info;
  if (!dladdr(reinterpret_cast<void *>(&directory_of_plugin), &info) || !info.dli_fname) return ".";
  const std::string path = info.dli_fname;
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

static LoadFunction open_library()
{
  const std::string path = directory_of_plugin() + "/libmlip_torch.so";
  // never closed: libtorch does not survive being unloaded
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!library)
    throw std::runtime_error(std::string("cannot use libtorch (") + dlerror() +
                             "). The plugin belongs to the torch it was compiled with: run "
                             "mlip-lammps build, and mlip-doctor if that does not help");
  void *function = dlsym(library, "mlip_load_model");
  if (!function) throw std::runtime_error(path + " is incomplete. Run: mlip-lammps build --force");
  return reinterpret_cast<LoadFunction>(function);
}

// the same file on the same device is loaded once, as for the sub-styles of a hybrid style
std::shared_ptr<Model> load_model(const std::string &path, const std::string &device, int n_threads)
{
  static const LoadFunction load = open_library();
  static std::map<std::string, std::weak_ptr<Model>> loaded;

  std::error_code unreadable;    // then loading says why
  const auto written = std::filesystem::last_write_time(path, unreadable).time_since_epoch();
  const auto key = path + '\n' + device + '\n' + std::to_string(n_threads) + '\n' +
                   std::to_string(written.count());
  std::shared_ptr<Model> model = loaded[key].lock();
  if (!model) {
    model.reset(load(path, device, n_threads));
    loaded[key] = model;
  }
  return model;
}

}    // namespace mlip
