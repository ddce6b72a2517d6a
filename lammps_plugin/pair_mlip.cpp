/* ----------------------------------------------------------------------
   Pair style mlip: commands and set-up. The model and the elements are in
   pair_mlip_model.cpp, the forces in pair_mlip_compute.cpp and pair_mlip_respa.cpp, what
   watches over a run in pair_mlip_quality.cpp.
------------------------------------------------------------------------- */

#include "pair_mlip_data.h"

#include "fix_mlip.h"

#include "comm.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "modify.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

#include <cstring>
#include <exception>

using namespace LAMMPS_NS;

/* ---------------------------------------------------------------------- */

PairMLIP::PairMLIP(LAMMPS *lmp) : Pair(lmp), data(new Data(world))
{
  single_enable = 0;
  restartinfo = 1;
  one_coeff = 1;
  manybody_flag = 1;
  respa_enable = 1;
  no_virial_fdotr_compute = 1;
  centroidstressflag = CENTROID_NOTAVAIL;    // until a model has it

  if (comm->nprocs > 1) comm_forward = comm_reverse = comm_reverse_off = MAX_COLUMNS;

  nextra = N_EXTRA;
  pvector = new double[N_EXTRA + MAX_ELEMENTS]();
}

/* ---------------------------------------------------------------------- */

PairMLIP::~PairMLIP()
{
  if (copymode) return;
  if (data->guard) {
    data->guard->pair = nullptr;
    modify->delete_fix("MLIP_" + std::to_string(instance_me));
  }
  delete data;
  delete[] pvector;
  if (allocated) {
    memory->destroy(setflag);
    memory->destroy(cutsq);
  }
}

/* ----------------------------------------------------------------------
   words as one text that utils::split_lines() takes apart again; file names may have spaces
------------------------------------------------------------------------- */

static std::string join(int narg, char **arg)
{
  std::string text;
  for (int i = 0; i < narg; i++) text += (i ? "\n" : "") + std::string(arg[i]);
  return text;
}

/* ----------------------------------------------------------------------
   pair_style mlip keyword value ...
------------------------------------------------------------------------- */

void PairMLIP::settings(int narg, char **arg)
{
  apply_settings(join(narg, arg));
}

/* ---------------------------------------------------------------------- */

void PairMLIP::apply_settings(const std::string &text)
{
  if (domain->dimension != 3)
    error->all(FLERR, "Pair style mlip needs a 3d system, got dimension {}", domain->dimension);

  const std::string units = update->unit_style;
  if (units == "metal")
    data->from_ev = 1.0;
  else if (units == "real")
    data->from_ev = utils::get_conversion_factor(utils::ENERGY, utils::METAL2REAL);
  else
    error->all(FLERR, "Pair style mlip needs 'units metal' or 'units real', got 'units {}'", units);

  const std::string device = data->settings.device;
  try {
    data->settings = mlip::parse_settings(utils::split_lines(text));
  } catch (const std::exception &e) {
    error->all(FLERR, "{}", e.what());
  }
  data->warned_non_conservative = false;
  data->is_evaluated = false;
  data->n_non_conservative = data->n_full = 0;

  for (int k = 0; k < nextra; k++) show(k, k < RMS_DISAGREEMENT ? 0.0 : NOT_EVALUATED);

  // a repeated pair_style command keeps the model
  if (data->model && device != data->settings.device) load_model(data->file);
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
               "Pair style mlip expects one element (or NULL) for each of the {} atom types after "
               "the file name, got {}",
               ntypes, narg - 3);

  if (!allocated) allocate();
  apply_coeff(join(narg - 2, arg + 2));
}

/* ---------------------------------------------------------------------- */

void PairMLIP::init_style()
{
  if (!data->restart_problem.empty()) error->all(FLERR, "{}", data->restart_problem);
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
  check_masses();

  data->pairs.assign(atom->ntypes + 1, std::vector<char>(atom->ntypes + 1, 0));
  data->correction = data->non_conservative = nullptr;
  if (data->is_correction()) {
    init_correction();
    return;    // it takes everything from the other sub-style
  }
  if (data->is_non_conservative()) init_non_conservative();

  int request = NeighConst::REQ_FULL;
  if (comm->nprocs > 1) {
    init_exchange();
    init_ghosts();
    if (!data->exchange && data->model->info().most_layers > 1) request |= NeighConst::REQ_GHOST;
  }
  neighbor->add_request(this, request);
  init_guard();
  data->edges_are_stale = true;
  data->told_graph = false;
  data->warned_skin = data->warned_disagreement = false;
}

/* ----------------------------------------------------------------------
   everything that the energies of owned atoms depend on has to be among the ghosts
------------------------------------------------------------------------- */

void PairMLIP::init_ghosts()
{
  if (comm->mode != Comm::SINGLE)
    error->all(FLERR, "Pair style mlip on several processes needs one communication cutoff for all "
                      "atoms: remove 'comm_modify mode', or use 'comm_modify mode single'");
  const auto &info = data->model->info();
  const double range = data->exchange ? info.cutoff : info.interaction_range;
  const double reach = range + neighbor->skin;
  if (comm->cutghostuser >= reach) return;
  if (comm->me == 0)
    utils::logmesg(lmp,
                   "Pair style mlip: communication cutoff {:.6g} A, what the model needs around a "
                   "domain, {:.6g} A, plus the skin (as with: comm_modify cutoff {:.6g})\n",
                   reach, range, reach);
  comm->cutghostuser = reach;
}

/* ----------------------------------------------------------------------
   columns of rows, so many. LAMMPS takes their number as an argument since 2025 only, and from
   these members always; its buffers have the size that they have when a run starts.
------------------------------------------------------------------------- */

void PairMLIP::send_to_ghosts(int n_columns)
{
  comm_forward = n_columns;
  comm->forward_comm(this);
  comm_forward = MAX_COLUMNS;
}

/* ---------------------------------------------------------------------- */

void PairMLIP::sum_at_owners(int n_columns)
{
  comm_reverse = comm_reverse_off = n_columns;
  comm->reverse_comm(this);
  comm_reverse = comm_reverse_off = MAX_COLUMNS;
}

/* ----------------------------------------------------------------------
   the non-conservative forces: of a whole simulation, or of the inner level of one
------------------------------------------------------------------------- */

void PairMLIP::init_non_conservative()
{
  const auto &info = data->model->info();
  if (!info.has_non_conservative_forces)
    error->all(FLERR,
               "Pair style mlip forces non_conservative needs a model with non-conservative "
               "forces, {} has none. Use forces conservative",
               data->file);
  if (data->settings.non_conservative_stress && !info.has_non_conservative_stress)
    error->all(FLERR,
               "Pair style mlip stress non_conservative needs a model with a head for the stress, "
               "{} has none. Use stress conservative",
               data->file);

  PairMLIP *previous = nullptr;
  for (int k = 1;; k++) {
    auto *other = dynamic_cast<PairMLIP *>(force->pair_match("mlip", 1, k));
    if (!other || other == previous) break;    // a single style is returned for every k
    previous = other;
    if (other->data->is_correction() && other->data->model == data->model &&
        other->data->number_of_type == data->number_of_type)
      data->correction = other;
  }
  if (data->correction) {    // together they are conservative
    require_all_levels();
    return;
  }

  if (update->whichflag == 2)
    error->all(FLERR,
               "Cannot minimize with pair style mlip forces non_conservative: these forces have "
               "no energy. Use forces conservative");
  if (data->warned_non_conservative || comm->me != 0) return;
  data->warned_non_conservative = true;
  error->warning(FLERR, "Pair style mlip forces non_conservative: the forces are no gradient of an "
                        "energy, expect drift and wrong temperatures (r-RESPA corrects this)");
  if (data->settings.non_conservative_stress)
    error->warning(FLERR,
                   "Pair style mlip stress non_conservative: the stress is no derivative of an "
                   "energy, expect a wrong density and a barostat that does work on the system");
}

/* ---------------------------------------------------------------------- */

void PairMLIP::init_guard()
{
  const std::string id = "MLIP_" + std::to_string(instance_me);
  Fix *fix = modify->get_fix_by_id(id);
  if (!fix) fix = modify->add_fix(id + " all MLIP");
  data->guard = dynamic_cast<FixMLIP *>(fix);
  if (!data->guard) error->all(FLERR, "Pair style mlip needs the fix ID {} for itself", id);
  data->guard->pair = this;
  data->guard->next_reneighbor = -1;
}

/* ----------------------------------------------------------------------
   somebody removed the fix: the next run adds it again
------------------------------------------------------------------------- */

void PairMLIP::lose_guard()
{
  data->guard = nullptr;
}

/* ---------------------------------------------------------------------- */

double PairMLIP::init_one(int i, int j)
{
  if (setflag[i][j] == 0)
    error->all(FLERR, "Pair style mlip needs: pair_coeff * * FILE El1 El2 ...");
  data->pairs[i][j] = data->pairs[j][i] = 1;
  return data->model->info().cutoff;
}

/* ---------------------------------------------------------------------- */

void PairMLIP::setup()
{
  check_pairs();
  data->edges_are_stale = true;
}

/* ---------------------------------------------------------------------- */

double PairMLIP::memory_usage()
{
  const auto &graph = data->graph;
  double bytes = Pair::memory_usage();
  if (data->edges) bytes += data->edges->memory_usage();
  if (data->boundary) bytes += data->boundary->memory_usage();
  bytes += static_cast<double>((graph.atomic_numbers.capacity() + graph.edge_index.capacity() +
                                graph.reverse_edge.capacity()) *
                               sizeof(int64_t));
  bytes += static_cast<double>((graph.edge_vectors.capacity() + data->unturned.capacity() +
                                data->rows.capacity() + data->evaluated_x.capacity()) *
                               sizeof(double));
  return bytes;
}
