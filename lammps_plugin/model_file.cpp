#include "model_file.h"

#include "together.h"

#include "comm.h"
#include "error.h"
#include "platform.h"
#include "utils.h"

#include <algorithm>
#include <stdexcept>
#include <thread>

using namespace LAMMPS_NS;

namespace mlip {

/* ---------------------------------------------------------------------- */

std::string ModelFile::find(const std::string &name)
{
  const std::string path = utils::get_potential_file_path(name);
  if (!path.empty() && !platform::path_is_directory(path)) return path;
  const std::string with_suffix = utils::get_potential_file_path(name + ".pt");
  return with_suffix.empty() ? path : with_suffix;
}

/* ---------------------------------------------------------------------- */

void ModelFile::load(const std::string &name, const std::string &device)
{
  const std::string path = find(name);
  together(processes_, error, [&] {
    if (path.empty())
      throw std::runtime_error(fmt::format(
          "cannot find the model file '{0}' (nor '{0}.pt'), neither as given nor in the "
          "folders of the environment variable LAMMPS_POTENTIALS{1}",
          name, on_this_machine()));
  });

  path_ = path;
  model_.reset();
  together(processes_, error, [&] {
    try {
      model_ = load_model(path, device, comm->nthreads);
    } catch (const std::exception &e) {
      throw std::runtime_error("cannot use the model file " + path + ": " + e.what());
    }
  });
  require_one_file();

  if (comm->me == 0)
    utils::logmesg(lmp,
                   "Pair style mlip: model {} from {}\n  {}, cutoff {:.4g} A, non-conservative "
                   "forces: {}, stress: {}\n  device {} (asked for: {}), {} thread(s) of {} "
                   "processor(s); OMP_NUM_THREADS or 'package omp' changes it\n",
                   info().name, path, info().dtype, info().cutoff,
                   info().has_non_conservative_forces ? "yes" : "no",
                   info().has_non_conservative_stress ? "yes" : "no", info().device, device,
                   comm->nthreads, std::thread::hardware_concurrency());
}

/* ---------------------------------------------------------------------- */

void ModelFile::require_structure_inputs(const std::map<std::string, double> &given) const
{
  const auto &asked = info().structure_inputs;
  for (const auto &name : asked)
    if (!given.count(name))
      error->all(FLERR,
                 "Pair style mlip: the model in {} depends on {}, and got none. Use: pair_style "
                 "mlip ... {} VALUE",
                 path_, name, name);
  for (const auto &[name, value] : given)
    if (std::find(asked.begin(), asked.end(), name) == asked.end())
      error->all(
          FLERR,
          "Pair style mlip: the model in {} does not depend on {}. Leave the keyword out, or "
          "use a model that does",
          path_, name);
}

/* ----------------------------------------------------------------------
   where a problem is, if other processes may not have it
------------------------------------------------------------------------- */

std::string ModelFile::on_this_machine() const
{
  if (comm->nprocs == 1) return "";
  char name[MPI_MAX_PROCESSOR_NAME];
  int length = 0;
  MPI_Get_processor_name(name, &length);
  return fmt::format(" (MPI process {} on {})", comm->me, std::string(name, length));
}

/* ---------------------------------------------------------------------- */

void ModelFile::require_one_file()
{
  const std::string &checksum = info().checksum;
  std::string first = checksum;    // all are of one length
  MPI_Bcast(&first[0], static_cast<int>(first.size()), MPI_CHAR, 0, world);
  together(processes_, error, [&] {
    if (first != checksum)
      throw std::runtime_error(fmt::format(
          "expected the same model on all processes, got {} in {}{} and {} on the first "
          "one. Put the same file in place on all machines",
          checksum, path_, on_this_machine(), first));
  });
}

}    // namespace mlip
