/* ----------------------------------------------------------------------
   Pair style mlip: the model, the elements of the atom types, and restart files.
------------------------------------------------------------------------- */

#include "pair_mlip_data.h"

#include "domain_edge_list.h"
#include "elements.h"
#include "periodic_edge_list.h"

#include "comm.h"
#include "error.h"
#include "force.h"
#include "utils.h"

#include <cmath>
#include <exception>
#include <stdexcept>
#include <thread>

using namespace LAMMPS_NS;

static constexpr double MASS_TOLERANCE = 0.01;    // relative; isotopes differ by more

/* ----------------------------------------------------------------------
   FILE El1 El2 ..., one a line, from pair_coeff or from a restart file
------------------------------------------------------------------------- */

void PairMLIP::apply_coeff(const std::string &text)
{
  const auto words = utils::split_lines(text);
  const int ntypes = atom->ntypes;
  for (int i = 1; i <= ntypes; i++)
    for (int j = i; j <= ntypes; j++) setflag[i][j] = 0;    // in case of an error from here on
  load_model(words[0]);
  map_elements(&words[1]);
  for (int i = 1; i <= ntypes; i++)
    for (int j = i; j <= ntypes; j++)
      setflag[i][j] = data->number_of_type[i] != 0 && data->number_of_type[j] != 0;

  const auto &checksum = data->model->info().checksum;
  if (!data->checksum_of_restart.empty() && data->checksum_of_restart != checksum && comm->me == 0)
    error->warning(FLERR,
                   "Pair style mlip: the restart file was written with another model ({}) than {} "
                   "({})",
                   data->checksum_of_restart, data->file, checksum);
  data->checksum_of_restart.clear();
  data->restart_problem.clear();
  data->coeff = text;
}

/* ----------------------------------------------------------------------
   the file by its name or without .pt, in the current folder or in LAMMPS_POTENTIALS
------------------------------------------------------------------------- */

void PairMLIP::load_model(const std::string &name)
{
  std::string path = utils::get_potential_file_path(name);
  if (path.empty() || platform::path_is_directory(path)) {
    const std::string with_suffix = utils::get_potential_file_path(name + ".pt");
    if (!with_suffix.empty()) path = with_suffix;
  }
  together([&] {
    if (path.empty())
      throw std::runtime_error(fmt::format(
          "cannot find the model file '{0}' (nor '{0}.pt'), neither as given nor in the "
          "folders of the environment variable LAMMPS_POTENTIALS{1}",
          name, on_this_machine()));
  });

  data->file = path;
  data->model.reset();
  together([&] {
    try {
      data->model = mlip::load_model(path, data->settings.device, comm->nthreads);
    } catch (const std::exception &e) {
      throw std::runtime_error("cannot use the model file " + path + ": " + e.what());
    }
  });

  const auto &info = data->model->info();
  require_one_file(info.checksum);
  if (comm->nprocs > 1)    // whether owned atoms are the only centres is known when a run starts
    data->edges = std::make_unique<mlip::DomainEdgeList>(info.cutoff, info.most_layers, false);
  else
    data->edges = std::make_unique<mlip::PeriodicEdgeList>(info.cutoff);
  data->exchange.reset();
  data->boundary.reset();
  data->edges_are_stale = true;
  data->is_evaluated = false;
  // with more layers, an edge changes the energies of atoms that are not its ends
  centroidstressflag = info.message_passing_layers == 1 ? CENTROID_AVAIL : CENTROID_NOTAVAIL;
  if (comm->me == 0)
    utils::logmesg(lmp,
                   "Pair style mlip: model {} from {}\n  {}, cutoff {:.4g} A, non-conservative "
                   "forces: {}, stress: {}\n  device {} (asked for: {}), {} thread(s) of {} "
                   "processor(s); OMP_NUM_THREADS or 'package omp' changes it\n",
                   info.name, path, info.dtype, info.cutoff,
                   info.has_non_conservative_forces ? "yes" : "no",
                   info.has_non_conservative_stress ? "yes" : "no", info.device,
                   data->settings.device, comm->nthreads, std::thread::hardware_concurrency());
}

/* ----------------------------------------------------------------------
   where a problem is, if other processes may not have it
------------------------------------------------------------------------- */

std::string PairMLIP::on_this_machine() const
{
  if (comm->nprocs == 1) return "";
  char name[MPI_MAX_PROCESSOR_NAME];
  int length = 0;
  MPI_Get_processor_name(name, &length);
  return fmt::format(" (MPI process {} on {})", comm->me, std::string(name, length));
}

/* ---------------------------------------------------------------------- */

void PairMLIP::require_one_file(const std::string &checksum)
{
  std::string first = checksum;    // all are of one length
  MPI_Bcast(&first[0], static_cast<int>(first.size()), MPI_CHAR, 0, world);
  together([&] {
    if (first != checksum)
      throw std::runtime_error(fmt::format(
          "expected the same model on all processes, got {} in {}{} and {} on the first "
          "one. Put the same file in place on all machines",
          checksum, data->file, on_this_machine(), first));
  });
}

/* ---------------------------------------------------------------------- */

void PairMLIP::map_elements(const std::string *symbols)
{
  const auto &species = data->model->info().species;
  const int ntypes = atom->ntypes;
  data->elements.clear();
  data->number_of_type.assign(ntypes + 1, 0);
  data->element_of_type.assign(ntypes + 1, -1);
  for (int type = 1; type <= ntypes; type++) {
    const std::string &symbol = symbols[type - 1];
    if (symbol == "NULL") {
      if (force->pair == this)
        error->all(FLERR,
                   "Pair style mlip: atom type {} is given NULL, so nothing acts on it. Use "
                   "pair_style hybrid or hybrid/overlay with another style for this type",
                   type);
      continue;
    }
    if (std::find(species.begin(), species.end(), symbol) == species.end()) {
      std::string known;
      for (const auto &name : species) known += " " + name;
      error->all(FLERR,
                 "Pair style mlip: atom type {} is given the element '{}', the model {} knows:{}",
                 type, symbol, data->file, known);
    }
    data->number_of_type[type] = mlip::atomic_number_of(symbol);
    auto &elements = data->elements;
    const auto found = std::find(elements.begin(), elements.end(), symbol);
    data->element_of_type[type] = static_cast<int>(found - elements.begin());
    if (found == elements.end()) elements.push_back(symbol);
  }
  if (data->elements.empty())
    error->all(FLERR, "Pair style mlip: expected an element for at least one atom type, got NULL "
                      "for all");
  nextra = N_EXTRA + static_cast<int>(data->elements.size());
  for (int k = RMS_DISAGREEMENT; k < nextra; k++) show(k, NOT_EVALUATED);
}

/* ----------------------------------------------------------------------
   elements in the wrong order are the commonest mistake, and masses show it. A mass that
   belongs to no element of the model may be an isotope or a repartitioned hydrogen.
------------------------------------------------------------------------- */

void PairMLIP::check_masses() const
{
  if (!data->settings.check_masses || !atom->mass) return;
  std::vector<char> occurs(atom->ntypes + 1, 0);
  for (int i = 0; i < atom->nlocal; i++) occurs[atom->type[i]] = 1;
  for (auto &value : occurs) value = data->processes.any(value);

  for (int type = 1; type <= atom->ntypes; type++) {
    const int64_t number = data->number_of_type[type];
    if (number == 0 || !occurs[type] || !atom->mass_setflag[type]) continue;
    const double mass = atom->mass[type];
    const auto is_mass_of = [mass](int64_t z) {
      const double expected = mlip::ELEMENT_MASSES[z - 1];
      return std::fabs(mass - expected) <= MASS_TOLERANCE * expected;
    };
    if (is_mass_of(number)) continue;
    const char *symbol = mlip::ELEMENT_SYMBOLS[number - 1];
    for (const auto &other : data->model->info().species)
      if (is_mass_of(mlip::atomic_number_of(other)))
        error->all(FLERR,
                   "Pair style mlip: atom type {} is given the element {} and has the mass {:.6g} "
                   "of {}. Give the elements in the order of the atom types, or say 'check_masses "
                   "no' in the pair_style command if this is meant",
                   type, symbol, mass, other);
    if (comm->me == 0)
      error->warning(FLERR,
                     "Pair style mlip: atom type {} has the mass {:.6g}, its element {} has {:.6g}",
                     type, mass, symbol, mlip::ELEMENT_MASSES[number - 1]);
  }
}

/* ----------------------------------------------------------------------
   in a hybrid style another style may have taken over a pair of types: then atoms of the
   model would not see each other
------------------------------------------------------------------------- */

void PairMLIP::check_pairs() const
{
  for (int i = 1; i <= atom->ntypes; i++)
    for (int j = i; j <= atom->ntypes; j++)
      if (data->number_of_type[i] && data->number_of_type[j] && !data->pairs[i][j])
        error->all(FLERR,
                   "Pair style mlip: atom types {} and {} have elements of the model, but their "
                   "pair belongs to another pair style. Use hybrid/overlay, or give one of them "
                   "NULL in pair_coeff",
                   i, j);
}

/* ----------------------------------------------------------------------
   restart files: keywords, and outside hybrid styles file, elements and checksum
------------------------------------------------------------------------- */

static void write_text(const std::string &text, FILE *file)
{
  const int length = static_cast<int>(text.size());
  fwrite(&length, sizeof(int), 1, file);
  fwrite(text.data(), 1, length, file);
}

static std::string read_text(FILE *file, int me, MPI_Comm world, Error *error)
{
  int length = 0;
  if (me == 0) utils::sfread(FLERR, &length, sizeof(int), 1, file, nullptr, error);
  MPI_Bcast(&length, 1, MPI_INT, 0, world);
  if (length < 0 || length > 1000000)
    error->all(FLERR, "The restart file is damaged: pair style mlip finds a text of {} characters",
               length);
  std::string text(length, ' ');
  if (me == 0) utils::sfread(FLERR, &text[0], 1, length, file, nullptr, error);
  MPI_Bcast(&text[0], length, MPI_CHAR, 0, world);
  return text;
}

void PairMLIP::write_restart_settings(FILE *file)
{
  write_text(data->settings.text, file);
  write_text(data->model ? data->model->info().checksum : std::string(), file);
}

void PairMLIP::read_restart_settings(FILE *file)
{
  apply_settings(read_text(file, comm->me, world, error));
  data->checksum_of_restart = read_text(file, comm->me, world, error);
}

void PairMLIP::write_restart(FILE *file)
{
  write_restart_settings(file);
  write_text(data->coeff, file);
}

/* ----------------------------------------------------------------------
   a model that is missing or was changed is an error only if no pair_coeff follows
------------------------------------------------------------------------- */

void PairMLIP::read_restart(FILE *file)
{
  read_restart_settings(file);
  const std::string text = read_text(file, comm->me, world, error);
  const std::string expected = data->checksum_of_restart;
  allocate();
  if (text.empty()) return;    // written before pair_coeff
  const std::string name = utils::split_lines(text)[0];
  const std::string advice =
      ". Put the file in place, or choose another with pair_style and pair_coeff";
  const bool is_missing = utils::get_potential_file_path(name).empty() &&
                          utils::get_potential_file_path(name + ".pt").empty();
  if (data->processes.any(is_missing)) {
    data->restart_problem =
        "Pair style mlip: the restart file was written with the model '" + name +
        "', which is neither in this folder nor in those of LAMMPS_POTENTIALS" + advice;
  } else {
    data->checksum_of_restart.clear();
    apply_coeff(text);
    const auto &found = data->model->info().checksum;
    if (found != expected)
      data->restart_problem = "Pair style mlip: expected the model that wrote the restart file, " +
                              expected + ", got " + found + " in " + data->file + advice;
  }
  for (int i = 1; i <= atom->ntypes; i++)
    for (int j = i; j <= atom->ntypes; j++) setflag[i][j] = 1;
  data->checksum_of_restart = data->restart_problem.empty() ? "" : expected;
  if (!data->restart_problem.empty() && comm->me == 0)
    error->warning(FLERR, "{}", data->restart_problem);
}
