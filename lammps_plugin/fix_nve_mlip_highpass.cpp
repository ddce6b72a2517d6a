#include "fix_nve_mlip_highpass.h"

#include "counter_noise.h"
#include "high_pass_bath.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "library.h"
#include "memory.h"
#include "modify.h"
#include "update.h"
#include "utils.h"

#include <cmath>
#include <cstring>
#include <limits>

using namespace LAMMPS_NS;
using namespace FixConst;

static constexpr double NOT_DRAWN = std::numeric_limits<double>::quiet_NaN();
// numbers of draws within a step: two for each innermost step, and one for s of an atom that is new
static constexpr uint32_t START = std::numeric_limits<uint32_t>::max();

/* ----------------------------------------------------------------------
   fix ID group nve/mlip/highpass Tstart Tstop seed keyword value ...
------------------------------------------------------------------------- */

FixNVEMLIPHighPass::FixNVEMLIPHighPass(LAMMPS *lmp, int narg, char **arg) : Fix(lmp, narg, arg)
{
  if (narg < 6)
    error->all(FLERR, "Fix nve/mlip/highpass expects two temperatures and a seed: fix ID group-ID "
                      "nve/mlip/highpass Tstart Tstop seed keyword value ...");
  t_start = utils::numeric(FLERR, arg[3], false, lmp);
  t_stop = utils::numeric(FLERR, arg[4], false, lmp);
  // !(a > b) is true for nan as well
  if (!(t_start > 0.0) || !(t_stop > 0.0))
    error->all(FLERR, "Fix nve/mlip/highpass expects temperatures above 0 K, got {} and {}", arg[3],
               arg[4]);
  seed = utils::inumeric(FLERR, arg[5], false, lmp);
  if (seed <= 0) error->all(FLERR, "Fix nve/mlip/highpass expects a seed above 0, got {}", arg[5]);
  read_keywords(narg - 6, arg + 6);
  if (!atom->tag_enable)
    error->all(FLERR,
               "Fix nve/mlip/highpass needs atom IDs, to which its random numbers belong: remove "
               "'atom_modify id no'");
  if (std::strcmp(update->unit_style, "metal") != 0 && std::strcmp(update->unit_style, "real") != 0)
    error->all(FLERR, "Fix nve/mlip/highpass expects units metal or real, got {}",
               update->unit_style);

  time_integrate = 1;
  dynamic_group_allow = 1;
  scalar_flag = 1;
  extscalar = 1;
  global_freq = 1;
  ecouple_flag = 1;
  restart_global = restart_peratom = 1;
  create_attribute = 1;
  maxexchange = 3;

  FixNVEMLIPHighPass::grow_arrays(atom->nmax);
  atom->add_callback(Atom::GROW);
  atom->add_callback(Atom::RESTART);
  for (int i = 0; i < atom->nlocal; i++) FixNVEMLIPHighPass::set_arrays(i);
}

/* ---------------------------------------------------------------------- */

FixNVEMLIPHighPass::~FixNVEMLIPHighPass()
{
  if (copymode) return;
  atom->delete_callback(id, Atom::GROW);
  atom->delete_callback(id, Atom::RESTART);
  memory->destroy(s);
}

/* ---------------------------------------------------------------------- */

void FixNVEMLIPHighPass::read_keywords(int narg, char **arg)
{
  bool has_mass = false;
  for (int k = 0; k < narg; k += 2) {
    const std::string keyword = arg[k];
    if (k + 1 == narg)
      error->all(FLERR, "Fix nve/mlip/highpass: expected a value after {}, got none", keyword);
    if (keyword == "types") {
      int first, last;
      utils::bounds(FLERR, arg[k + 1], 1, atom->ntypes, first, last, error);
      is_light_type.resize(atom->ntypes + 1, 0);
      for (int type = first; type <= last; type++) is_light_type[type] = 1;
      continue;
    }
    const bool is_mass = keyword == "light_mass";
    double *place = keyword == "high_pass_friction" ? &friction_g
                    : keyword == "memory_rate"      ? &rate_a
                    : keyword == "friction"         ? &friction_k
                    : is_mass                       ? &light_mass
                                                    : nullptr;
    if (!place)
      error->all(FLERR,
                 "Fix nve/mlip/highpass: expected the keyword high_pass_friction, memory_rate, "
                 "friction, light_mass or types, got {}",
                 keyword);
    has_mass = has_mass || is_mass;
    *place = utils::numeric(FLERR, arg[k + 1], false, lmp);
    const bool is_right = place == &friction_k ? *place >= 0.0 : *place > 0.0;
    if (!is_right || std::isinf(*place))
      error->all(FLERR, "Fix nve/mlip/highpass: expected a {} of {} 0 {}, got {}", keyword,
                 place == &friction_k ? "at least" : "more than", is_mass ? "g/mol" : "1/ps",
                 arg[k + 1]);
  }
  if (has_mass && !is_light_type.empty())
    error->all(FLERR,
               "Fix nve/mlip/highpass: light_mass and types both say which atoms are light. Give "
               "one of them");
}

/* ---------------------------------------------------------------------- */

int FixNVEMLIPHighPass::setmask()
{
  return INITIAL_INTEGRATE | FINAL_INTEGRATE | INITIAL_INTEGRATE_RESPA | FINAL_INTEGRATE_RESPA;
}

/* ---------------------------------------------------------------------- */

void FixNVEMLIPHighPass::init()
{
  step_respa = nullptr;
  if (utils::strmatch(update->integrate_style, "^respa"))
    step_respa = static_cast<double *>(lammps_extract_global(lmp, "respa_dt"));
  refuse_constraints_and_barostats();
}

/* ----------------------------------------------------------------------
   s would not keep to constraints; and how long outer steps and a moving box go together was not
   tried
------------------------------------------------------------------------- */

void FixNVEMLIPHighPass::refuse_constraints_and_barostats()
{
  for (int n = 0; n < modify->nfix; n++) {
    const Fix &fix = *modify->fix[n];
    if (fix.box_change & (BOX_CHANGE_SIZE | BOX_CHANGE_SHAPE))
      error->all(FLERR,
                 "Fix nve/mlip/highpass expects a box of constant size and shape, fix {} changes "
                 "it. Use fix nvt or langevin with it, and shorter outer steps (fix ID {})",
                 fix.style, fix.id);
    bool constrains = false;
    for (const char *style : {"^shake", "^rattle", "^rigid", "^poems"})
      constrains = constrains || utils::strmatch(fix.style, style);
    if (!constrains) continue;
    int meet = 0;
    for (int i = 0; i < atom->nlocal; i++)
      if (atom->mask[i] & groupbit && atom->mask[i] & fix.groupbit) meet = 1;
    MPI_Allreduce(MPI_IN_PLACE, &meet, 1, MPI_INT, MPI_MAX, world);
    if (meet)
      error->all(FLERR,
                 "Fix nve/mlip/highpass does not keep to constraints: fix {} must not have atoms "
                 "of its group. Remove it, or use fix nve with fix langevin (fix ID {})",
                 fix.style, fix.id);
  }
}

/* ----------------------------------------------------------------------
   velocity Verlet with the baths between two half drifts (BAOAB)
------------------------------------------------------------------------- */

void FixNVEMLIPHighPass::initial_integrate(int)
{
  kick(0.5 * update->dt);
  move_freely(update->dt);
}

void FixNVEMLIPHighPass::final_integrate()
{
  kick(0.5 * update->dt);
}

/* ----------------------------------------------------------------------
   the forces are those of the level; atoms move at the innermost one
------------------------------------------------------------------------- */

void FixNVEMLIPHighPass::initial_integrate_respa(int, int ilevel, int)
{
  kick(0.5 * step_respa[ilevel]);
  if (ilevel == 0) move_freely(step_respa[0]);
}

void FixNVEMLIPHighPass::final_integrate_respa(int ilevel, int)
{
  kick(0.5 * step_respa[ilevel]);
}

/* ---------------------------------------------------------------------- */

void FixNVEMLIPHighPass::move_freely(double dt)
{
  drift(0.5 * dt);
  apply_baths(dt);
  drift(0.5 * dt);
}

/* ---------------------------------------------------------------------- */

void FixNVEMLIPHighPass::kick(double dt)
{
  double **v = atom->v, **f = atom->f;
  for (int i = 0; i < atom->nlocal; i++) {
    if (!(atom->mask[i] & groupbit)) continue;
    const double factor = dt * force->ftm2v / mass_of(i);
    for (int d = 0; d < 3; d++) v[i][d] += factor * f[i][d];
  }
}

/* ---------------------------------------------------------------------- */

void FixNVEMLIPHighPass::drift(double dt)
{
  double **x = atom->x, **v = atom->v;
  for (int i = 0; i < atom->nlocal; i++) {
    if (!(atom->mask[i] & groupbit)) continue;
    for (int d = 0; d < 3; d++) x[i][d] += dt * v[i][d];
  }
}

/* ----------------------------------------------------------------------
   the bath with memory on light atoms, then friction without memory on all
------------------------------------------------------------------------- */

void FixNVEMLIPHighPass::apply_baths(double dt)
{
  const bigint step = update->ntimestep;
  inner = step == last_step ? inner + 1 : 0;
  last_step = step;

  const double picosecond = 1000.0 * force->femtosecond;
  const double ps = dt / picosecond;
  const mlip::HighPassBath bath(friction_g, rate_a, ps);
  const double decay = std::exp(-friction_k * ps);
  const double spread = std::sqrt(-std::expm1(-2.0 * friction_k * ps));
  const double kT = force->boltz * temperature() / force->mvv2e;    // mass times velocity squared
  const mlip::CounterNoise noise(static_cast<uint32_t>(seed));

  for (int i = 0; i < atom->nlocal; i++) {
    if (!(atom->mask[i] & groupbit)) continue;
    const uint64_t tag = atom->tag[i];
    double *v = atom->v[i];
    const double mass = mass_of(i), width = std::sqrt(kT / mass);
    const double before = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
    if (is_light(i)) {
      if (std::isnan(s[i][0])) {
        const auto normal = noise.normals(tag, step, START);
        for (int d = 0; d < 3; d++) s[i][d] = width * normal[d];
      }
      const auto normal = noise.normals(tag, step, 2 * inner);
      for (int d = 0; d < 3; d++) bath.move(v[d], s[i][d], width, normal[d]);
    }
    if (friction_k > 0.0) {
      const auto normal = noise.normals(tag, step, 2 * inner + 1);
      for (int d = 0; d < 3; d++) v[d] = decay * v[d] + spread * width * normal[d];
    }
    const double after = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
    heat += 0.5 * force->mvv2e * mass * (after - before);
  }
}

/* ---------------------------------------------------------------------- */

double FixNVEMLIPHighPass::mass_of(int i) const
{
  return atom->rmass ? atom->rmass[i] : atom->mass[atom->type[i]];
}

bool FixNVEMLIPHighPass::is_light(int i) const
{
  return is_light_type.empty() ? mass_of(i) <= light_mass : is_light_type[atom->type[i]];
}

/* ---------------------------------------------------------------------- */

double FixNVEMLIPHighPass::temperature() const
{
  const bigint steps = update->endstep - update->beginstep;
  if (steps <= 0) return t_start;
  const double done = static_cast<double>(update->ntimestep - update->beginstep) / steps;
  return t_start + done * (t_stop - t_start);
}

double FixNVEMLIPHighPass::compute_scalar()
{
  double total;
  MPI_Allreduce(&heat, &total, 1, MPI_DOUBLE, MPI_SUM, world);
  return -total;
}

/* ----------------------------------------------------------------------
   s goes where its atom goes
------------------------------------------------------------------------- */

void FixNVEMLIPHighPass::grow_arrays(int nmax)
{
  memory->grow(s, nmax, 3, "nve/mlip/highpass:s");
}

void FixNVEMLIPHighPass::copy_arrays(int i, int j, int)
{
  for (int d = 0; d < 3; d++) s[j][d] = s[i][d];
}

void FixNVEMLIPHighPass::set_arrays(int i)
{
  for (int d = 0; d < 3; d++) s[i][d] = NOT_DRAWN;
}

int FixNVEMLIPHighPass::pack_exchange(int i, double *buf)
{
  for (int d = 0; d < 3; d++) buf[d] = s[i][d];
  return 3;
}

int FixNVEMLIPHighPass::unpack_exchange(int i, double *buf)
{
  for (int d = 0; d < 3; d++) s[i][d] = buf[d];
  return 3;
}

/* ----------------------------------------------------------------------
   in a restart file, the values of a fix begin with how many they are
------------------------------------------------------------------------- */

int FixNVEMLIPHighPass::pack_restart(int i, double *buf)
{
  buf[0] = size_restart(i);
  pack_exchange(i, buf + 1);
  return size_restart(i);
}

void FixNVEMLIPHighPass::unpack_restart(int i, int nth)
{
  double *values = atom->extra[i];
  for (int k = 0; k < nth; k++) values += static_cast<int>(*values);
  unpack_exchange(i, values + 1);
}

int FixNVEMLIPHighPass::size_restart(int)
{
  return 4;
}

int FixNVEMLIPHighPass::maxsize_restart()
{
  return 4;
}

void FixNVEMLIPHighPass::write_restart(FILE *fp)
{
  const double total = -compute_scalar();    // of all processes
  if (comm->me != 0) return;
  const int size = sizeof(total);
  fwrite(&size, sizeof(int), 1, fp);
  fwrite(&total, size, 1, fp);
}

void FixNVEMLIPHighPass::restart(char *buf)
{
  double total;
  std::memcpy(&total, buf, sizeof(total));
  heat = comm->me == 0 ? total : 0.0;
}

/* ---------------------------------------------------------------------- */

double FixNVEMLIPHighPass::memory_usage()
{
  return 3.0 * atom->nmax * sizeof(double);
}
