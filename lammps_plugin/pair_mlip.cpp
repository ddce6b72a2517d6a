/* ----------------------------------------------------------------------
   Pair style mlip: commands, model and set-up. The forces are in pair_mlip_compute.cpp.
------------------------------------------------------------------------- */

#include "pair_mlip_data.h"

#include "elements.h"

#include "comm.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

#include <cstring>
#include <exception>

using namespace LAMMPS_NS;

/* ---------------------------------------------------------------------- */

PairMLIP::PairMLIP(LAMMPS *lmp) : Pair(lmp), data(new Data)
{
  single_enable = 0;
  restartinfo = 0;
  one_coeff = 1;
  manybody_flag = 1;
  respa_enable = 1;
  no_virial_fdotr_compute = 1;
  centroidstressflag = CENTROID_NOTAVAIL;

  nextra = N_EXTRA;
  pvector = new double[N_EXTRA]();
}

/* ---------------------------------------------------------------------- */

PairMLIP::~PairMLIP()
{
  if (copymode) return;
  delete data;
  delete[] pvector;
  if (allocated) {
    memory->destroy(setflag);
    memory->destroy(cutsq);
  }
}

/* ----------------------------------------------------------------------
   pair_style mlip [forces conservative|non_conservative] [device auto|cpu|cuda]
------------------------------------------------------------------------- */

void PairMLIP::settings(int narg, char **arg)
{
  if (comm->nprocs > 1)
    error->all(FLERR,
               "Pair style mlip runs on one MPI process, got {}. Start LAMMPS without mpiexec (or "
               "with -np 1) and use threads: OMP_NUM_THREADS",
               comm->nprocs);
  if (domain->dimension != 3)
    error->all(FLERR, "Pair style mlip needs a 3d system, got dimension {}", domain->dimension);

  const std::string units = update->unit_style;
  if (units == "metal")
    data->from_ev = 1.0;
  else if (units == "real")
    data->from_ev = utils::get_conversion_factor(utils::ENERGY, utils::METAL2REAL);
  else
    error->all(FLERR, "Pair style mlip needs 'units metal' or 'units real', got 'units {}'", units);

  data->non_conservative = false;
  std::string device = "auto";
  for (int iarg = 0; iarg < narg; iarg += 2) {
    const std::string keyword = arg[iarg];
    if (keyword != "forces" && keyword != "device")
      error->all(FLERR,
                 "Unknown pair_style mlip keyword: expected 'forces conservative', 'forces "
                 "non_conservative' or 'device auto|cpu|cuda', got '{}'",
                 keyword);
    if (iarg + 1 == narg) error->all(FLERR, "Pair style mlip keyword '{}' needs a value", keyword);
    const std::string value = arg[iarg + 1];
    if (keyword == "forces") {
      if (value != "conservative" && value != "non_conservative")
        error->all(FLERR,
                   "Pair style mlip: expected forces conservative or non_conservative, got '{}'",
                   value);
      data->non_conservative = (value == "non_conservative");
    } else {
      if (value != "auto" && value != "cpu" && value != "cuda")
        error->all(FLERR, "Pair style mlip: expected device auto, cpu or cuda, got '{}'", value);
      device = value;
    }
  }
  data->warned_non_conservative = false;

  pvector[N_NON_CONSERVATIVE] = pvector[N_FULL] = 0.0;
  pvector[RMS_DISAGREEMENT] = pvector[MAX_DISAGREEMENT] = NOT_EVALUATED;

  // a repeated pair_style command keeps the model
  const bool moves = data->model && device != data->device;
  data->device = device;
  if (moves) load_model(data->file);
}

/* ---------------------------------------------------------------------- */

void PairMLIP::allocate()
{
  allocated = 1;
  const int n = atom->ntypes + 1;
  memory->create(setflag, n, n, "pair:setflag");
  memory->create(cutsq, n, n, "pair:cutsq");
  for (int i = 1; i < n; i++)
    for (int j = i; j < n; j++) setflag[i][j] = 0;
}

/* ----------------------------------------------------------------------
   pair_coeff * * FILE El1 El2 ...
------------------------------------------------------------------------- */

void PairMLIP::coeff(int narg, char **arg)
{
  const int ntypes = atom->ntypes;
  if (narg < 3 || std::strcmp(arg[0], "*") != 0 || std::strcmp(arg[1], "*") != 0)
    error->all(FLERR,
               "Pair style mlip expects: pair_coeff * * FILE followed by one element for each of "
               "the {} atom types",
               ntypes);
  if (narg != 3 + ntypes)
    error->all(FLERR,
               "Pair style mlip expects one element for each of the {} atom types after the file "
               "name, got {}",
               ntypes, narg - 3);

  if (!allocated) allocate();
  for (int i = 1; i <= ntypes; i++)
    for (int j = i; j <= ntypes; j++) setflag[i][j] = 0;    // in case of an error from here on
  load_model(arg[2]);
  map_elements(arg + 3);
  for (int i = 1; i <= ntypes; i++)
    for (int j = i; j <= ntypes; j++) setflag[i][j] = 1;
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
  if (path.empty())
    error->all(FLERR,
               "Pair style mlip cannot find the model file '{0}' (nor '{0}.pt'), neither as given "
               "nor in the folders of the environment variable LAMMPS_POTENTIALS",
               name);

  data->file = path;
  data->model.reset();
  try {
    data->model.reset(mlip::load_model(path, data->device, comm->nthreads));
  } catch (const std::exception &e) {
    error->all(FLERR, "Pair style mlip cannot use the model file {}: {}", path, e.what());
  }

  const auto &info = data->model->info();
  data->edges = std::make_unique<mlip::EdgeList>(info.cutoff);
  data->edges_are_stale = true;
  data->evaluated_x.clear();
  if (comm->me == 0)
    utils::logmesg(lmp,
                   "Pair style mlip: model {} from {}\n  {}, cutoff {:.4g} A, {}, {} thread(s), "
                   "non-conservative forces: {}\n",
                   info.name, path, info.dtype, info.cutoff, info.device, comm->nthreads,
                   info.has_non_conservative_forces ? "yes" : "no");
}

/* ---------------------------------------------------------------------- */

void PairMLIP::map_elements(char **symbols)
{
  const auto &species = data->model->info().species;
  data->number_of_type.assign(atom->ntypes + 1, 0);
  for (int type = 1; type <= atom->ntypes; type++) {
    const std::string symbol = symbols[type - 1];
    if (std::find(species.begin(), species.end(), symbol) == species.end()) {
      std::string known;
      for (const auto &name : species) known += " " + name;
      error->all(FLERR,
                 "Pair style mlip: atom type {} is given the element '{}', the model {} knows:{}",
                 type, symbol, data->file, known);
    }
    data->number_of_type[type] = mlip::atomic_number_of(symbol);
  }
}

/* ---------------------------------------------------------------------- */

void PairMLIP::init_style()
{
  if (!atom->tag_enable)
    error->all(FLERR, "Pair style mlip needs atom IDs: remove 'atom_modify id no'");
  if (neighbor->nex_type + neighbor->nex_group + neighbor->nex_mol > 0)
    error->all(FLERR,
               "Pair style mlip needs all neighbors of an atom: remove 'neigh_modify exclude' (use "
               "'neigh_modify exclude none')");
  if (atom->molecular != Atom::ATOMIC && atom->maxspecial > 0)
    for (int k = 1; k < 4; k++)
      if (force->special_lj[k] == 0.0 && force->special_coul[k] == 0.0)
        error->all(FLERR,
                   "Pair style mlip needs all neighbors of an atom, but special_bonds leaves out "
                   "1-{} neighbors. Use: special_bonds lj/coul 1.0 1.0 1.0",
                   k + 1);

  if (data->non_conservative) {
    if (!data->model->info().has_non_conservative_forces)
      error->all(FLERR,
                 "Pair style mlip forces non_conservative needs a model with non-conservative "
                 "forces, {} has none. Use forces conservative",
                 data->file);
    if (update->whichflag == 2)
      error->all(FLERR,
                 "Cannot minimize with pair style mlip forces non_conservative: these forces have "
                 "no energy. Use forces conservative");
    if (!data->warned_non_conservative && comm->me == 0)
      error->warning(FLERR,
                     "Pair style mlip forces non_conservative: the forces are no gradient of an "
                     "energy, expect drift and wrong temperatures (r-RESPA corrects this)");
    data->warned_non_conservative = true;
  }

  neighbor->add_request(this, NeighConst::REQ_FULL);
  data->edges_are_stale = true;
  data->warned_skin = false;
}

/* ---------------------------------------------------------------------- */

double PairMLIP::init_one(int i, int j)
{
  if (setflag[i][j] == 0)
    error->all(FLERR, "Pair style mlip needs: pair_coeff * * FILE El1 El2 ...");
  return data->model->info().cutoff;
}

/* ---------------------------------------------------------------------- */

void PairMLIP::setup()
{
  data->edges_are_stale = true;
}

/* ---------------------------------------------------------------------- */

double PairMLIP::memory_usage()
{
  const auto &graph = data->graph;
  double bytes = Pair::memory_usage();
  if (data->edges) bytes += data->edges->memory_usage();
  bytes += static_cast<double>((graph.atomic_numbers.capacity() + graph.edge_index.capacity() +
                                graph.reverse_edge.capacity()) *
                               sizeof(int64_t));
  bytes += static_cast<double>((graph.edge_vectors.capacity() + data->evaluated_x.capacity()) *
                               sizeof(double));
  return bytes;
}
