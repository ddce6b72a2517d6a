/* ----------------------------------------------------------------------
   Pair style mlip. A step is gather (LAMMPS -> local graph), evaluate (the model),
   scatter (forces, energy, virial -> LAMMPS).

   r-RESPA: the inner level applies the non-conservative forces NC, the outer level the
   correction C - NC to the conservative forces C. The last inner call of an outer step
   and the outer call that follows it see the same positions, so that inner call already
   makes the full evaluation (C and NC together) that the outer call then takes over.
------------------------------------------------------------------------- */

#include "pair_mlip.h"

#include "edge_list.h"
#include "elements.h"
#include "model.h"

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "library.h"
#include "memory.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <memory>

using namespace LAMMPS_NS;

// entries of pvector, which `compute ID all pair mlip` shows
enum { N_NON_CONSERVATIVE, N_FULL, RMS_DISAGREEMENT, MAX_DISAGREEMENT, N_EXTRA };

// the disagreement of the heads before any evaluation of both
static constexpr double NOT_EVALUATED = -1.0;

/* ---------------------------------------------------------------------- */

struct PairMLIP::Data {
  std::string file;    // as found
  std::string device = "auto";
  bool non_conservative = false;    // pair_style mlip forces non_conservative
  bool warned_non_conservative = false, warned_skin = false;
  double from_ev = 1.0;    // eV -> energy unit of this simulation

  std::unique_ptr<mlip::Model> model;
  std::vector<int64_t> number_of_type;    // (n_types + 1) atomic numbers

  // gather
  std::unique_ptr<mlip::EdgeList> edges;
  mlip::LocalGraph graph;
  bool edges_are_stale = true;
  bigint seen_ncalls = -1, seen_lastcall = -1;    // identify a build of the neighbor list

  // evaluate
  mlip::Evaluation full;
  std::vector<double> non_conservative_forces;    // of the last NC-only evaluation

  // what the last full evaluation belongs to
  std::vector<double> evaluated_x;     // (n_owned + n_ghost, 3)
  std::vector<int> evaluated_types;    // (n_owned)

  // r-RESPA
  int inner_steps = 1;    // inner calls in one outer step
  int calls_since_outer = 0;

  // is `full` an evaluation at exactly the present positions, with everything that is needed?
  bool has_full(const Atom *atom, bool with_atomic_virials) const
  {
    const size_t n_values = 3 * static_cast<size_t>(atom->nlocal + atom->nghost);
    const size_t n_owned = atom->nlocal;
    return n_owned > 0 && evaluated_x.size() == n_values && evaluated_types.size() == n_owned &&
           full.non_conservative_forces.size() == 3 * n_owned &&
           (!with_atomic_virials || full.atomic_virials.size() == 9 * n_owned) &&
           std::equal(evaluated_types.begin(), evaluated_types.end(), atom->type) &&
           std::equal(evaluated_x.begin(), evaluated_x.end(), &atom->x[0][0]);
  }

  void remember_positions(const Atom *atom)
  {
    evaluated_x.assign(&atom->x[0][0],
                       &atom->x[0][0] + 3 * static_cast<size_t>(atom->nlocal + atom->nghost));
    evaluated_types.assign(atom->type, atom->type + atom->nlocal);
  }
};

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

/* ----------------------------------------------------------------------
   LAMMPS -> local graph
------------------------------------------------------------------------- */

void PairMLIP::gather()
{
  double **x = atom->x;
  const int nlocal = atom->nlocal;

  for (int i = 0; i < nlocal; i++)
    if (!std::isfinite(x[i][0] + x[i][1] + x[i][2]))
      error->one(FLERR,
                 "Pair style mlip: the position of atom {} is not a number: ({}, {}, {}). The "
                 "simulation is unstable or the input is wrong",
                 atom->tag[i], x[i][0], x[i][1], x[i][2]);

  // setup() functions build the list without counting it
  if (data->edges_are_stale || update->setupflag || neighbor->ncalls != data->seen_ncalls ||
      neighbor->lastcall != data->seen_lastcall) {
    try {
      data->edges->rebuild(*list, *atom, *domain);
    } catch (const std::exception &e) {
      error->one(FLERR, "Pair style mlip: {}", e.what());
    }
    data->seen_ncalls = neighbor->ncalls;
    data->seen_lastcall = neighbor->lastcall;
    data->edges_are_stale = false;
  } else if (!data->warned_skin) {
    const double approach = data->edges->largest_approach(x);
    if (approach > neighbor->skin) {
      data->warned_skin = true;
      error->warning(FLERR,
                     "Pair style mlip: two atoms moved {:.3g} Angstrom since the neighbor list was "
                     "built, more than the skin of {:.3g}. Neighbors may be missed: increase it "
                     "with the neighbor command (r-RESPA rebuilds between outer steps only)",
                     approach, neighbor->skin);
    }
  }

  data->edges->update(x, data->graph);
  auto &numbers = data->graph.atomic_numbers;
  numbers.resize(nlocal);
  for (int i = 0; i < nlocal; i++) numbers[i] = data->number_of_type[atom->type[i]];
}

/* ----------------------------------------------------------------------
   energy, conservative forces, virial; on request the non-conservative forces as well
------------------------------------------------------------------------- */

void PairMLIP::evaluate(bool with_non_conservative, bool with_atomic_virials)
{
  data->evaluated_x.clear();
  try {
    data->model->evaluate(data->graph, with_non_conservative, with_atomic_virials, data->full);
  } catch (const std::exception &e) {
    error->one(FLERR, "Pair style mlip, model {}: {}", data->file, e.what());
  }
  pvector[N_FULL] += 1.0;

  if (!std::isfinite(data->full.energy))
    for (int i = 0; i < atom->nlocal; i++)
      if (!std::isfinite(data->full.atomic_energies[i]))
        error->one(FLERR, "Pair style mlip: the energy of atom {} is not a number", atom->tag[i]);
  require_finite(data->full.forces.data(), "conservative");
  if (with_non_conservative) {
    require_finite(data->full.non_conservative_forces.data(), "non-conservative");
    measure_disagreement();
    data->remember_positions(atom);
  }
}

/* ---------------------------------------------------------------------- */

void PairMLIP::evaluate_non_conservative()
{
  try {
    data->model->non_conservative(data->graph, data->non_conservative_forces);
  } catch (const std::exception &e) {
    error->one(FLERR, "Pair style mlip, model {}: {}", data->file, e.what());
  }
  pvector[N_NON_CONSERVATIVE] += 1.0;
  require_finite(data->non_conservative_forces.data(), "non-conservative");
}

/* ---------------------------------------------------------------------- */

void PairMLIP::require_finite(const double *forces, const char *which) const
{
  for (int i = 0; i < atom->nlocal; i++)
    if (!std::isfinite(forces[3 * i] + forces[3 * i + 1] + forces[3 * i + 2]))
      error->one(FLERR,
                 "Pair style mlip: the {} force on atom {} is not a number. Are two atoms at the "
                 "same place?",
                 which, atom->tag[i]);
}

/* ----------------------------------------------------------------------
   |C - NC| of the atoms, in eV/A whatever the units of the simulation
------------------------------------------------------------------------- */

void PairMLIP::measure_disagreement()
{
  double sum = 0.0, largest = 0.0;
  for (int i = 0; i < atom->nlocal; i++) {
    double square = 0.0;
    for (int k = 0; k < 3; k++) {
      const double d = data->full.forces[3 * i + k] - data->full.non_conservative_forces[3 * i + k];
      square += d * d;
    }
    sum += square;
    largest = std::max(largest, square);
  }
  pvector[RMS_DISAGREEMENT] = atom->nlocal ? std::sqrt(sum / atom->nlocal) : 0.0;
  pvector[MAX_DISAGREEMENT] = std::sqrt(largest);
}

/* ----------------------------------------------------------------------
   add forces times sign to those of the owned atoms
------------------------------------------------------------------------- */

void PairMLIP::scatter(const double *forces, double sign)
{
  const double scale = sign * data->from_ev;
  double **f = atom->f;
  for (int i = 0; i < atom->nlocal; i++)
    for (int k = 0; k < 3; k++) f[i][k] += scale * forces[3 * i + k];
}

/* ----------------------------------------------------------------------
   energy and virial of the last full evaluation, as far as they are wanted this step
------------------------------------------------------------------------- */

void PairMLIP::tally()
{
  const double scale = data->from_ev;
  const auto &full = data->full;

  // LAMMPS order: xx, yy, zz, xy, xz, yz
  static constexpr int ROW[6] = {0, 1, 2, 0, 0, 1};
  static constexpr int COLUMN[6] = {0, 1, 2, 1, 2, 2};

  if (eflag_global) eng_vdwl += scale * full.energy;
  if (vflag_global)
    for (int k = 0; k < 6; k++)
      virial[k] += 0.5 * scale * (full.virial[ROW[k]][COLUMN[k]] + full.virial[COLUMN[k]][ROW[k]]);
  if (eflag_atom)
    for (int i = 0; i < atom->nlocal; i++) eatom[i] += scale * full.atomic_energies[i];
  if (vflag_atom)
    for (int i = 0; i < atom->nlocal; i++) {
      const double *w = &full.atomic_virials[9 * static_cast<size_t>(i)];
      for (int k = 0; k < 6; k++)
        vatom[i][k] += 0.5 * scale * (w[3 * ROW[k] + COLUMN[k]] + w[3 * COLUMN[k] + ROW[k]]);
    }
}

/* ----------------------------------------------------------------------
   all forces at once: run_style verlet, minimize, and respa without inner and outer.
   The energy and virial of a trajectory with non-conservative forces are still those of
   the energy head; they cost a full evaluation in the steps that ask for them.
------------------------------------------------------------------------- */

void PairMLIP::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  gather();

  if (!data->non_conservative) {
    evaluate(false, vflag_atom != 0);
    scatter(data->full.forces.data(), 1.0);
    tally();
  } else if (eflag_either || vflag_either) {
    evaluate(true, vflag_atom != 0);
    scatter(data->full.non_conservative_forces.data(), 1.0);
    tally();
  } else {
    evaluate_non_conservative();
    scatter(data->non_conservative_forces.data(), 1.0);
  }
}

/* ----------------------------------------------------------------------
   r-RESPA, fast level: the non-conservative forces
------------------------------------------------------------------------- */

void PairMLIP::compute_inner()
{
  // during setup each level is called once, at the same positions
  if (update->setupflag) {
    require_respa_support();
    data->inner_steps = inner_steps_of_integrator();
    data->calls_since_outer = 0;
  }
  data->calls_since_outer++;

  gather();
  if (update->setupflag || data->calls_since_outer >= data->inner_steps) {
    evaluate(true, update->vflag_atom == update->ntimestep);
    scatter(data->full.non_conservative_forces.data(), 1.0);
  } else {
    evaluate_non_conservative();
    scatter(data->non_conservative_forces.data(), 1.0);
  }
}

/* ---------------------------------------------------------------------- */

void PairMLIP::compute_middle()
{
  error->all(FLERR,
             "Pair style mlip has two r-RESPA levels, inner and outer: remove 'middle' from the "
             "run_style respa command");
}

/* ----------------------------------------------------------------------
   r-RESPA, slow level: the correction to the conservative forces. Energy and virial are
   the conservative ones.
------------------------------------------------------------------------- */

void PairMLIP::compute_outer(int eflag, int vflag)
{
  ev_init(eflag, vflag);

  // the number of inner calls seen in a cycle is right even where the integrator has more levels
  if (!update->setupflag) data->inner_steps = std::max(1, data->calls_since_outer);
  data->calls_since_outer = 0;

  if (!data->has_full(atom, vflag_atom != 0)) {
    gather();
    evaluate(true, vflag_atom != 0);
  }
  scatter(data->full.forces.data(), 1.0);
  scatter(data->full.non_conservative_forces.data(), -1.0);
  tally();
}

/* ----------------------------------------------------------------------
   M of `run_style respa 2 M`, from the time steps of its outermost and innermost levels
------------------------------------------------------------------------- */

int PairMLIP::inner_steps_of_integrator() const
{
  const auto *n_levels = static_cast<int *>(lammps_extract_global(lmp, "respa_levels"));
  const auto *dt = static_cast<double *>(lammps_extract_global(lmp, "respa_dt"));
  if (!n_levels || !dt || *n_levels < 1) return 1;
  return std::max(1, static_cast<int>(std::lround(dt[*n_levels - 1] / dt[0])));
}

/* ---------------------------------------------------------------------- */

void PairMLIP::require_respa_support()
{
  if (!data->model->info().has_non_conservative_forces)
    error->all(
        FLERR,
        "run_style respa with inner and outer needs a model with non-conservative forces, {} "
        "has none. Use run_style verlet, or a model that has them",
        data->file);
  if (data->non_conservative)
    error->all(FLERR,
               "run_style respa with inner and outer integrates the conservative forces of pair "
               "style mlip: remove 'forces non_conservative' from the pair_style command");
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
