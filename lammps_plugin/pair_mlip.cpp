/* ----------------------------------------------------------------------
   Pair style mlip as LAMMPS knows it: commands, set-up, restart files, and which forces are
   asked for. How they are computed is in model_forces.cpp.
------------------------------------------------------------------------- */

#include "pair_mlip.h"

#include "agreement.h"
#include "compute_mlip_deviation.h"
#include "element_map.h"
#include "input_check.h"
#include "model_file.h"
#include "model_forces.h"
#include "output_vector.h"
#include "present_evaluation.h"
#include "restarted_model.h"
#include "settings.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "modify.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cstring>
#include <exception>

using namespace LAMMPS_NS;

struct PairMLIP::State {
  State(LAMMPS *lmp, PairMLIP &pair) :
      processes(pair.world), file(lmp, processes), input(lmp, settings, file), elements(lmp),
      restarted(lmp), output(pair, pair.comm->me == 0),
      forces(lmp, pair, processes, settings, file, elements, output,
             "MLIP_" + std::to_string(pair.instance_me))
  {
  }

  bool is_correction() const { return settings.forces == mlip::Forces::CORRECTION; }
  bool is_non_conservative() const { return settings.forces == mlip::Forces::NON_CONSERVATIVE; }
  bool has_same_atoms(const State &other) const
  {
    return file.has_same_model(other.file) && elements.numbers() == other.elements.numbers();
  }

  mlip::Agreement processes;
  mlip::Settings settings;
  mlip::ModelFile file;
  mlip::InputCheck input;
  mlip::ElementMap elements;
  std::string coeff;    // file and elements as given, for restart files
  mlip::RestartedModel restarted;
  mlip::OutputVector output;
  mlip::ModelForces forces;

  // in a hybrid style: the sub-style with the other one of the two forces, if this one has one of them
  PairMLIP *correction = nullptr;
  PairMLIP *non_conservative = nullptr;

  // of the neighbor list: that of the model, or of a model with a longer one in a committee
  double list_cutoff = 0.0;

  double scale = 1.0;    // of energy, forces and virial, for fix adapt
  bool has_warned_non_conservative = false;
};

/* ---------------------------------------------------------------------- */

PairMLIP::PairMLIP(LAMMPS *lmp) : Pair(lmp), state(new State(lmp, *this))
{
  single_enable = 0;
  restartinfo = 1;
  one_coeff = 1;
  manybody_flag = 1;
  respa_enable = 1;
  no_virial_fdotr_compute = 1;
  centroidstressflag = CENTROID_AVAIL;    // a hybrid style asks before there is a model
}

/* ---------------------------------------------------------------------- */

PairMLIP::~PairMLIP()
{
  if (copymode) return;
  delete state;
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
  state->input.require_three_dimensions();
  state->forces.tally().set_units();

  const std::string device = state->settings.device;
  try {
    state->settings = mlip::parse_settings(utils::split_lines(text));
  } catch (const std::exception &e) {
    error->all(FLERR, "{}", e.what());
  }
  state->has_warned_non_conservative = false;
  state->forces.evaluator().apply_settings();

  // a repeated pair_style command keeps the model
  if (state->file.is_loaded() && device != state->settings.device) load_model(state->file.path());
}

/* ---------------------------------------------------------------------- */

void PairMLIP::allocate()
{
  allocated = 1;
  const int n = atom->ntypes + 1;
  memory->create(setflag, n, n, "pair:setflag");
  memory->create(cutsq, n, n, "pair:cutsq");
  set_flags(0);
}

/* ---------------------------------------------------------------------- */

void PairMLIP::set_flags(int flag)
{
  for (int i = 1; i <= atom->ntypes; i++)
    for (int j = i; j <= atom->ntypes; j++) setflag[i][j] = flag;
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

/* ----------------------------------------------------------------------
   FILE El1 El2 ..., one a line, from pair_coeff or from a restart file
------------------------------------------------------------------------- */

void PairMLIP::apply_coeff(const std::string &text)
{
  const auto words = utils::split_lines(text);
  auto &elements = state->elements;
  set_flags(0);    // in case of an error from here on
  load_model(words[0]);
  elements.assign(&words[1], state->file, force->pair != this);
  state->output.set_elements(elements.n_elements());
  for (int i = 1; i <= atom->ntypes; i++)
    for (int j = i; j <= atom->ntypes; j++)
      setflag[i][j] = elements.number(i) != 0 && elements.number(j) != 0;
  state->restarted.replace(state->file);
  state->coeff = text;
}

/* ---------------------------------------------------------------------- */

void PairMLIP::load_model(const std::string &name)
{
  state->file.load(name, state->settings.device);
  state->forces.evaluator().use_model();
  centroidstressflag = state->file.info().has_centroid_virials ? CENTROID_AVAIL : CENTROID_NOTAVAIL;
}

/* ---------------------------------------------------------------------- */

void PairMLIP::init_style()
{
  state->restarted.require_usable();
  state->input.require_atom_ids();
  if (sub_style(1) == this) {    // once, not for each sub-style
    state->input.check_fixes_of_respa();
    if (state->is_correction() || state->is_non_conservative())
      state->input.check_distance_of_forces();
    state->input.check_heat_flux();
  }
  if (state->settings.check_masses)
    state->elements.check_masses(state->file.info().species, state->processes);

  state->file.require_structure_inputs(state->settings.structure_inputs);

  state->list_cutoff = std::max(state->file.info().cutoff, cutoff_of_committees());
  state->elements.forget_pairs();
  state->correction = state->non_conservative = nullptr;
  state->forces.evaluator().show_also_in(nullptr);
  if (state->is_correction()) {
    init_correction();
    return;    // it takes everything from the other sub-style
  }
  if (state->is_non_conservative()) init_non_conservative();
  neighbor->add_request(this, state->forces.begin_run(*this));
}

/* ----------------------------------------------------------------------
   the k-th style mlip of a hybrid style, k = 1, 2, ...; null behind the last one. LAMMPS
   returns a single one for every k.
------------------------------------------------------------------------- */

PairMLIP *PairMLIP::sub_style(int k) const
{
  Pair *found = force->pair_match("mlip", 1, k);
  if (k > 1 && found == force->pair_match("mlip", 1, k - 1)) return nullptr;
  return dynamic_cast<PairMLIP *>(found);
}

/* ----------------------------------------------------------------------
   the non-conservative forces: of a whole simulation, or of the inner level of one
------------------------------------------------------------------------- */

void PairMLIP::init_non_conservative()
{
  state->input.require_heads();
  for (int k = 1; PairMLIP *other = sub_style(k); k++)
    if (other->state->is_correction() && other->state->has_same_atoms(*state))
      state->correction = other;
  state->input.refuse_minimization(state->correction != nullptr);
  if (state->correction) {    // together they are conservative
    state->forces.evaluator().show_also_in(&state->correction->state->output);
    return;
  }
  if (state->has_warned_non_conservative || comm->me != 0) return;
  state->has_warned_non_conservative = true;
  error->warning(FLERR, "Pair style mlip forces non_conservative: the forces are no gradient of an "
                        "energy, expect drift and wrong temperatures (r-RESPA corrects this)");
  if (state->settings.non_conservative_stress)
    error->warning(FLERR,
                   "Pair style mlip stress non_conservative: the stress is no derivative of an "
                   "energy, expect a wrong density and a barostat that does work on the system");
}

/* ---------------------------------------------------------------------- */

void PairMLIP::init_correction()
{
  for (int k = 1; PairMLIP *other = sub_style(k); k++) {
    const auto &theirs = other->state->settings;
    if (!other->state->is_non_conservative() || !other->state->has_same_atoms(*state)) continue;
    if (theirs.rotate != state->settings.rotate || theirs.seed != state->settings.seed)
      error->all(FLERR,
                 "Pair style mlip forces correction and forces non_conservative of the same model "
                 "need the same settings of rotate and seed");
    if (theirs.structure_inputs != state->settings.structure_inputs)
      error->all(FLERR,
                 "Pair style mlip forces correction and forces non_conservative of the same model "
                 "need the same total_charge and spin_multiplicity");
    state->non_conservative = other;
    return;
  }
  error->all(
      FLERR,
      "Pair style mlip forces correction needs a sub-style mlip forces non_conservative with "
      "the same file, elements and device beside it, found none. Use: pair_style "
      "hybrid/overlay mlip forces non_conservative mlip forces correction ...");
}

/* ---------------------------------------------------------------------- */

double PairMLIP::init_one(int i, int j)
{
  if (setflag[i][j] == 0)
    error->all(FLERR, "Pair style mlip needs: pair_coeff * * FILE El1 El2 ...");
  state->elements.add_pair(i, j);
  return state->list_cutoff;
}

/* ---------------------------------------------------------------------- */

void PairMLIP::setup()
{
  state->elements.check_pairs();
  state->input.require_bonded_neighbors();
  state->forces.evaluator().expect_new_list();
}

/* ----------------------------------------------------------------------
   all forces at once: run_style verlet, minimize, and respa without inner and outer.
   As a sub-style of a hybrid style, one of the two forces of r-RESPA.
------------------------------------------------------------------------- */

void PairMLIP::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  if (state->is_correction())
    apply_correction();
  else if (state->correction)
    state->forces.add_inner(vflag_atom || cvflag_atom, state->scale);
  else if (state->is_non_conservative())
    state->forces.add_non_conservative(*this, state->scale);
  else
    state->forces.add_conservative(*this, state->scale);
}

/* ----------------------------------------------------------------------
   as a sub-style: from the evaluation of the one beside it
------------------------------------------------------------------------- */

void PairMLIP::apply_correction()
{
  auto &forces = state->non_conservative->state->forces;
  if (!update->setupflag && update->whichflag == 1 && forces.cycle().has_outer_since_inner())
    error->all(FLERR,
               "Pair style mlip: forces correction is computed more often than forces "
               "non_conservative, which is the fast force. In run_style respa ... hybrid, give "
               "forces non_conservative the inner level and forces correction the outer one");
  forces.add_correction(*this, state->scale);
}

/* ----------------------------------------------------------------------
   the fast level of run_style respa ... inner ... outer
------------------------------------------------------------------------- */

void PairMLIP::compute_inner()
{
  if (update->setupflag) {
    state->input.require_both_levels();
    state->input.check_distance_of_forces();
  }
  state->forces.add_inner(update->vflag_atom == update->ntimestep, state->scale);
}

/* ---------------------------------------------------------------------- */

void PairMLIP::compute_middle()
{
  error->all(FLERR,
             "Pair style mlip has two r-RESPA levels, inner and outer: remove 'middle' from the "
             "run_style respa command");
}

/* ----------------------------------------------------------------------
   the slow level. Energy and virial are the conservative ones.
------------------------------------------------------------------------- */

void PairMLIP::compute_outer(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  state->forces.add_correction(*this, state->scale);
}

/* ----------------------------------------------------------------------
   restart files: keywords, and outside hybrid styles file, elements and checksum
------------------------------------------------------------------------- */

void PairMLIP::write_restart_settings(FILE *file)
{
  const auto &model_file = state->file;
  state->restarted.write_text(state->settings.text, file);
  state->restarted.write_text(model_file.is_loaded() ? model_file.info().checksum : "", file);
}

/* ---------------------------------------------------------------------- */

void PairMLIP::read_restart_settings(FILE *file)
{
  apply_settings(state->restarted.read_text(file));
  state->restarted.expect(state->restarted.read_text(file));
}

/* ---------------------------------------------------------------------- */

void PairMLIP::write_restart(FILE *file)
{
  write_restart_settings(file);
  state->restarted.write_text(state->coeff, file);
}

/* ----------------------------------------------------------------------
   a model that is missing or was changed is an error only if no pair_coeff follows
------------------------------------------------------------------------- */

void PairMLIP::read_restart(FILE *file)
{
  read_restart_settings(file);
  const std::string text = state->restarted.read_text(file);
  const std::string expected = state->restarted.expected();
  allocate();
  if (text.empty()) return;    // written before pair_coeff
  const std::string name = utils::split_lines(text)[0];
  const std::string advice =
      ". Put the file in place, or choose another with pair_style and pair_coeff";
  std::string problem;
  if (state->processes.any(mlip::ModelFile::find(name).empty())) {
    problem = "Pair style mlip: the restart file was written with the model '" + name +
              "', which is neither in this folder nor in those of LAMMPS_POTENTIALS" + advice;
  } else {
    state->restarted.expect("");    // another one is no warning, but an error
    apply_coeff(text);
    const auto &found = state->file.info().checksum;
    if (found != expected)
      problem = "Pair style mlip: expected the model that wrote the restart file, " + expected +
                ", got " + found + " in " + state->file.path() + advice;
  }
  set_flags(1);
  if (problem.empty()) return;
  state->restarted.expect(expected);
  state->restarted.refuse(problem);
}

/* ----------------------------------------------------------------------
   rows of ghosts, for which LAMMPS communicates in the name of this style
------------------------------------------------------------------------- */

int PairMLIP::pack_forward_comm(int n, int *list, double *buffer, int, int *)
{
  return state->forces.evaluator().rows().pack_forward(n, list, buffer);
}

void PairMLIP::unpack_forward_comm(int n, int first, double *buffer)
{
  state->forces.evaluator().rows().unpack_forward(n, first, buffer);
}

int PairMLIP::pack_reverse_comm(int n, int first, double *buffer)
{
  return state->forces.evaluator().rows().pack_reverse(n, first, buffer);
}

void PairMLIP::unpack_reverse_comm(int n, int *list, double *buffer)
{
  state->forces.evaluator().rows().unpack_reverse(n, list, buffer);
}

/* ----------------------------------------------------------------------
   what fix adapt may change: a factor for all that this style adds
------------------------------------------------------------------------- */

void *PairMLIP::extract(const char *name, int &dim)
{
  dim = 0;
  return std::strcmp(name, "scale") == 0 ? &state->scale : nullptr;
}

/* ---------------------------------------------------------------------- */

double PairMLIP::memory_usage()
{
  return Pair::memory_usage() + state->forces.evaluator().memory_usage();
}

/* ----------------------------------------------------------------------
   forces correction has no list of its own: the sub-style beside it evaluates for both
------------------------------------------------------------------------- */

PairMLIP::State &PairMLIP::evaluating_state()
{
  const bool has_other = state->is_correction() && state->non_conservative;
  return has_other ? *state->non_conservative->state : *state;
}

/* ----------------------------------------------------------------------
   for compute mlip/deviation. LAMMPS asks pair styles for cutoffs before it initializes computes,
   so this style asks for those of the other models.
------------------------------------------------------------------------- */

const mlip::Settings &PairMLIP::driving_settings() const
{
  return state->settings;
}

const mlip::ElementMap &PairMLIP::driving_elements() const
{
  return state->elements;
}

mlip::PresentEvaluation PairMLIP::conservative_here()
{
  auto &forces = evaluating_state().forces;
  return {forces.conservative_here(), forces.evaluator().owned()};
}

const mlip::ModelInfo &PairMLIP::model_info() const
{
  return state->file.info();
}

const std::string &PairMLIP::model_path() const
{
  return state->file.path();
}

const mlip::PropertyTerms *PairMLIP::properties_here()
{
  return evaluating_state().forces.properties_here();
}

/* ---------------------------------------------------------------------- */

double PairMLIP::cutoff_of_committees()
{
  double cutoff = 0.0;
  for (int n = 0; n < modify->ncompute; n++)
    if (auto *committee = dynamic_cast<ComputeMLIPDeviation *>(modify->compute[n]))
      cutoff = std::max(cutoff, committee->prepare());
  return cutoff;
}

/* ----------------------------------------------------------------------
   for compute mlip/disagreement/atom: under r-RESPA the evaluation is there already
------------------------------------------------------------------------- */

void PairMLIP::atomic_disagreement(double *values)
{
  State &source = evaluating_state();
  if (!source.file.info().has_non_conservative_forces)
    error->all(FLERR,
               "Compute mlip/disagreement/atom needs a model with non-conservative forces, {} has "
               "none",
               source.file.path());
  source.forces.disagreement_of_atoms(values);
}

/* ----------------------------------------------------------------------
   what fix MLIP calls
------------------------------------------------------------------------- */

void PairMLIP::stop_if_unsure()
{
  state->forces.evaluator().disagreement().stop_if_unsure();
}

void PairMLIP::lose_guard()
{
  state->forces.skin_guard().lose_fix();
}
