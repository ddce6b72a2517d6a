// How a shared library announces a style to the PLUGIN package of LAMMPS.
//
// LAMMPS calls lammpsplugin_init(lmp, handle, regfunc) after it has opened the library. The
// library fills one registration record per style and hands it to regfunc. The layout below is
// the binary interface of LAMMPS releases that have `plugin load` with two kinds of factories;
// it is declared here because binary distributions of LAMMPS do not install a header for it.

#ifndef MLIP_PLUGIN_ABI_H
#define MLIP_PLUGIN_ABI_H

namespace mlip {

// creates a style from the LAMMPS instance (pair, bond, angle, command, ...)
using SimpleFactory = void *(void *lmp);
// creates a style from the LAMMPS instance and its arguments (fix, compute, region, ...)
using ArgumentFactory = void *(void *lmp, int narg, char **arg);

struct Registration {
  const char *version;    // LAMMPS version string the library was compiled for
  const char *style;      // category, e.g. "pair"
  const char *name;       // name in the input script
  const char *info;       // one line for the log
  const char *author;
  union {
    SimpleFactory *simple;
    ArgumentFactory *with_arguments;
  } creator;
  void *handle;    // as given to lammpsplugin_init
};

using RegisterFunction = void (*)(Registration *, void *lmp);

}    // namespace mlip

#if defined(__GNUC__)
#define MLIP_EXPORT __attribute__((visibility("default")))
#else
#define MLIP_EXPORT
#endif

extern "C" MLIP_EXPORT void lammpsplugin_init(void *lmp, void *handle, void *regfunc);

#endif
