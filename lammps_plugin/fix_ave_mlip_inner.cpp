#include "fix_ave_mlip_inner.h"

#include "counter_noise.h"

#include "atom.h"
#include "compute.h"
#include "domain.h"
#include "error.h"
#include "library.h"
#include "memory.h"
#include "modify.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cstring>

using namespace LAMMPS_NS;
using namespace FixConst;

// of an atom: its mean position, then its position at one innermost step
static constexpr int N_COLUMNS = 6;
static constexpr int N_SUMS = 4;

/* ----------------------------------------------------------------------
   fix ID group ave/mlip/inner N c_ID c_ID[I] ... keyword value ...
------------------------------------------------------------------------- */

FixAveMLIPInner::FixAveMLIPInner(LAMMPS *lmp, int narg, char **arg) : Fix(lmp, narg, arg)
{
  if (narg < 4)
    error->all(FLERR, "Fix ave/mlip/inner expects a number of steps: fix ID group-ID "
                      "ave/mlip/inner N c_ID ... keyword value ...");
  window = utils::inumeric(FLERR, arg[3], false, lmp);
  if (window <= 0)
    error->all(FLERR, "Fix ave/mlip/inner expects a number of steps above 0, got {}", arg[3]);

  // asterisks in brackets become all the columns that they stand for; the mode tells which columns
  for (int k = 4; k + 1 < narg; k++)
    if (std::strcmp(arg[k], "mode") == 0) takes_vectors = std::strcmp(arg[k + 1], "vector") == 0;
  char **words;
  const int n_words = utils::expand_args(FLERR, narg - 4, arg + 4, takes_vectors, words, lmp);
  int n = 0;
  while (n < n_words && utils::strmatch(words[n], "^[cfv]_")) read_value(words[n++]);
  read_keywords(n_words - n, words + n);
  if (words != arg + 4) {
    for (int k = 0; k < n_words; k++) delete[] words[k];
    memory->sfree(words);
  }
  find_computes();
  announce_output();

  dynamic_group_allow = 1;
  create_attribute = 1;
  maxexchange = N_SUMS + N_COLUMNS;
  FixAveMLIPInner::grow_arrays(atom->nmax);
  atom->add_callback(Atom::GROW);
  for (int i = 0; i < atom->nlocal; i++) FixAveMLIPInner::set_arrays(i);
}

/* ---------------------------------------------------------------------- */

FixAveMLIPInner::~FixAveMLIPInner()
{
  if (copymode) return;
  atom->delete_callback(id, Atom::GROW);
  memory->destroy(position_sums);
  memory->destroy(array_atom);
}

/* ----------------------------------------------------------------------
   c_ID or c_ID[I]
------------------------------------------------------------------------- */

void FixAveMLIPInner::read_value(const std::string &word)
{
  const size_t bracket = word.find('[');
  const bool has_column = bracket != std::string::npos;
  if (word.compare(0, 2, "c_") != 0 || (has_column && word.back() != ']'))
    error->all(FLERR, "Fix ave/mlip/inner expects computes, c_ID or c_ID[I], got {}", word);
  Value value = {word.substr(2, has_column ? bracket - 2 : bracket), 0, nullptr};
  if (has_column) {
    const std::string column = word.substr(bracket + 1, word.size() - bracket - 2);
    value.column = utils::inumeric(FLERR, column.c_str(), false, lmp);
    if (value.column <= 0)
      error->all(FLERR, "Fix ave/mlip/inner expects a number above 0 in the brackets, got {}",
                 word);
  }
  values.push_back(value);
}

/* ---------------------------------------------------------------------- */

void FixAveMLIPInner::read_keywords(int narg, char **arg)
{
  for (int k = 0; k < narg; k += 2) {
    const std::string keyword = arg[k];
    if (keyword != "mode" && keyword != "seed")
      error->all(FLERR,
                 "Fix ave/mlip/inner: expected computes c_ID, then the keyword mode or seed, got "
                 "{}",
                 keyword);
    if (k + 1 == narg)
      error->all(FLERR, "Fix ave/mlip/inner: expected a value after {}, got none", keyword);
    if (keyword == "mode") {
      const std::string mode = arg[k + 1];
      if (mode != "scalar" && mode != "vector")
        error->all(FLERR, "Fix ave/mlip/inner: expected mode scalar or vector, got {}", mode);
    }
    if (keyword == "seed") {
      seed = utils::inumeric(FLERR, arg[k + 1], false, lmp);
      if (seed <= 0)
        error->all(FLERR, "Fix ave/mlip/inner: expected a seed above 0, got {}", arg[k + 1]);
    }
  }
}

/* ----------------------------------------------------------------------
   a compute may have been deleted since, and defined again
------------------------------------------------------------------------- */

void FixAveMLIPInner::find_computes()
{
  for (Value &value : values) {
    const int n = modify->find_compute(value.id);
    if (n < 0) error->all(FLERR, "Fix ave/mlip/inner: there is no compute {}", value.id);
    value.compute = modify->compute[n];
    const Compute &c = *value.compute;
    // energies and stresses are there at the ends of outer steps only, as are velocities
    if (c.peflag || c.peatomflag || c.pressflag || c.pressatomflag || c.tempflag)
      error->all(FLERR,
                 "Fix ave/mlip/inner expects functions of positions: energies, stresses and "
                 "temperatures are known at the ends of outer steps. Use fix ave/time for "
                 "compute {} (style {})",
                 value.id, c.style);
    const int column = value.column;
    const bool fits = takes_vectors ? (column ? c.array_flag : c.vector_flag)
                                    : (column ? c.vector_flag : c.scalar_flag);
    if (!fits)
      error->all(FLERR, "Fix ave/mlip/inner: compute {} (style {}) gives no global {}", value.id,
                 c.style,
                 takes_vectors ? (column ? "array" : "vector") : (column ? "vector" : "scalar"));
    const int n_columns = takes_vectors ? c.size_array_cols : c.size_vector;
    if (column > n_columns)
      error->all(FLERR, "Fix ave/mlip/inner: compute {} has {} values, got [{}]", value.id,
                 n_columns, column);
    if (takes_vectors ? (column ? c.size_array_rows_variable : c.size_vector_variable)
                      : (column && c.size_vector_variable))
      error->all(FLERR, "Fix ave/mlip/inner: the length of compute {} (style {}) may change",
                 value.id, c.style);
  }
}

/* ---------------------------------------------------------------------- */

void FixAveMLIPInner::announce_output()
{
  if (takes_vectors && values.empty())
    error->all(FLERR, "Fix ave/mlip/inner: expected computes c_ID with mode vector, got none");
  for (const Value &value : values) {
    if (!takes_vectors) continue;
    const int rows = value.column ? value.compute->size_array_rows : value.compute->size_vector;
    if (&value != &values.front() && rows != n_rows)
      error->all(FLERR,
                 "Fix ave/mlip/inner: expected vectors of one length, got {} of compute {} and {} "
                 "of compute {}",
                 n_rows, values.front().id, rows, value.id);
    n_rows = rows;
  }
  const int n_values = values.size();
  sums.assign(n_rows * n_values, 0.0);
  means = sums;
  peratom_flag = 1;
  size_peratom_cols = N_COLUMNS;
  peratom_freq = global_freq = window;
  extvector = extarray = 0;
  if (takes_vectors && n_values > 1) {
    array_flag = 1;
    size_array_rows = n_rows;
    size_array_cols = n_values;
  } else if (n_values > 0) {
    vector_flag = 1;
    size_vector = n_rows * n_values;
  }
}

/* ---------------------------------------------------------------------- */

int FixAveMLIPInner::setmask()
{
  return POST_FORCE | FINAL_INTEGRATE | POST_FORCE_RESPA | FINAL_INTEGRATE_RESPA;
}

/* ---------------------------------------------------------------------- */

void FixAveMLIPInner::init()
{
  find_computes();
  for (const Value &value : values) {
    const Compute &c = *value.compute;
    const int rows = value.column ? c.size_array_rows : c.size_vector;
    if (takes_vectors && rows != n_rows)
      error->all(
          FLERR,
          "Fix ave/mlip/inner: compute {} had {} numbers when the fix was defined and has {} "
          "now; define the fix anew",
          value.id, n_rows, rows);
  }
  n_levels = nullptr;
  if (utils::strmatch(update->integrate_style, "^respa"))
    n_levels = static_cast<int *>(lammps_extract_global(lmp, "respa_levels"));
}

/* ----------------------------------------------------------------------
   A run that goes on where the last one ended goes on with its window. Before the first step of any
   other, the present state is all that there is.
------------------------------------------------------------------------- */

void FixAveMLIPInner::setup(int)
{
  if (has_stepped && update->ntimestep == last_step) return;
  begin_window();
  sample();
  end_window();
  has_stepped = false;
}

/* ---------------------------------------------------------------------- */

void FixAveMLIPInner::post_force(int)
{
  has_stepped = true;
  sample();
}

void FixAveMLIPInner::final_integrate()
{
  if (update->ntimestep % window == 0) end_window();
}

/* ----------------------------------------------------------------------
   After the forces of the innermost level, atoms and ghosts are where that step has brought them.
   The outermost level ends before fixes that act at the end of a step ask for averages.
------------------------------------------------------------------------- */

void FixAveMLIPInner::post_force_respa(int, int ilevel, int)
{
  if (ilevel == 0) post_force(0);
}

void FixAveMLIPInner::final_integrate_respa(int ilevel, int)
{
  if (ilevel == *n_levels - 1) final_integrate();
}

/* ---------------------------------------------------------------------- */

void FixAveMLIPInner::begin_window()
{
  n_samples = 0.0;
  std::fill(sums.begin(), sums.end(), 0.0);
  for (int i = 0; i < atom->nlocal; i++)
    for (int k = 0; k < N_SUMS; k++) position_sums[i][k] = 0.0;
}

/* ---------------------------------------------------------------------- */

void FixAveMLIPInner::sample()
{
  inner = update->ntimestep == last_step ? inner + 1 : 1;
  last_step = update->ntimestep;
  sample_positions();
  if (values.empty()) return;
  sample_values(sums);
  n_samples++;
}

/* ----------------------------------------------------------------------
   Each innermost step of an outer one has the same probability to be the one that is kept, however
   many they are: the last is kept with 1/2 if it is the second, with 1/3 if it is the third.
------------------------------------------------------------------------- */

void FixAveMLIPInner::sample_positions()
{
  const auto step = static_cast<uint64_t>(update->ntimestep);
  const uint64_t word = mlip::philox({uint32_t(step), uint32_t(step >> 32), inner, 0},
                                     {static_cast<uint32_t>(seed), 0})[0];
  const bool is_kept = word * inner < (uint64_t(1) << 32);
  double x[3];
  for (int i = 0; i < atom->nlocal; i++) {
    if (!(atom->mask[i] & groupbit)) continue;
    domain->unmap(atom->x[i], atom->image[i], x);
    for (int d = 0; d < 3; d++) {
      position_sums[i][d] += x[d];
      if (is_kept) array_atom[i][3 + d] = x[d];
    }
    position_sums[i][3] += 1.0;
  }
}

/* ----------------------------------------------------------------------
   Computes take what they, or others that they use, have calculated in this step for present. Within
   an outer step it is not, so they are made to forget it.
------------------------------------------------------------------------- */

void FixAveMLIPInner::sample_values(std::vector<double> &to)
{
  modify->clearstep_compute();
  for (int n = 0; n < modify->ncompute; n++) {
    Compute &c = *modify->compute[n];
    c.invoked_scalar = c.invoked_vector = c.invoked_array = -1;
    c.invoked_peratom = c.invoked_local = -1;
  }
  const int n_values = values.size();
  const bigint step = update->ntimestep;
  for (int k = 0; k < n_values; k++) {
    Compute &c = *values[k].compute;
    const int column = values[k].column - 1;
    if (takes_vectors && column >= 0) {
      if (c.invoked_array != step) c.compute_array();
      for (int row = 0; row < n_rows; row++) to[row * n_values + k] += c.array[row][column];
    } else if (takes_vectors || column >= 0) {
      if (c.invoked_vector != step) c.compute_vector();
      const int first = takes_vectors ? 0 : column;
      for (int row = 0; row < n_rows; row++) to[row * n_values + k] += c.vector[first + row];
    } else {
      to[k] += c.compute_scalar();
    }
  }
  refuse_what_was_tallied();
}

/* ----------------------------------------------------------------------
   A compute of positions may use another, and that one energies or stresses, which are those of the
   last outer step here. LAMMPS itself does not notice if something else asks for them in this step.
------------------------------------------------------------------------- */

void FixAveMLIPInner::refuse_what_was_tallied()
{
  for (int n = 0; n < modify->ncompute; n++) {
    const Compute &c = *modify->compute[n];
    const bigint last = std::max(
        {c.invoked_scalar, c.invoked_vector, c.invoked_array, c.invoked_peratom, c.invoked_local});
    if (last >= 0 && (c.peflag || c.peatomflag || c.pressflag || c.pressatomflag))
      error->all(FLERR,
                 "Fix ave/mlip/inner expects functions of positions: one of its computes uses "
                 "compute {} (style {}), and energies and stresses are known at the ends of outer "
                 "steps. Use fix ave/time for it",
                 c.id, c.style);
  }
}

/* ---------------------------------------------------------------------- */

void FixAveMLIPInner::end_window()
{
  for (size_t k = 0; k < sums.size(); k++) means[k] = sums[k] / n_samples;
  for (int i = 0; i < atom->nlocal; i++) {
    if (!(atom->mask[i] & groupbit)) {
      for (int k = 0; k < N_COLUMNS; k++) array_atom[i][k] = 0.0;
      continue;
    }
    const double n = position_sums[i][3];
    if (n > 0.0)
      for (int d = 0; d < 3; d++) array_atom[i][d] = position_sums[i][d] / n;
  }
  begin_window();
}

/* ---------------------------------------------------------------------- */

double FixAveMLIPInner::compute_vector(int n)
{
  return means[n];
}

double FixAveMLIPInner::compute_array(int row, int column)
{
  return means[row * values.size() + column];
}

/* ----------------------------------------------------------------------
   sums and results go where their atom goes
------------------------------------------------------------------------- */

void FixAveMLIPInner::grow_arrays(int nmax)
{
  memory->grow(position_sums, nmax, N_SUMS, "ave/mlip/inner:position_sums");
  memory->grow(array_atom, nmax, N_COLUMNS, "ave/mlip/inner:array_atom");
}

void FixAveMLIPInner::copy_arrays(int i, int j, int)
{
  for (int k = 0; k < N_SUMS; k++) position_sums[j][k] = position_sums[i][k];
  for (int k = 0; k < N_COLUMNS; k++) array_atom[j][k] = array_atom[i][k];
}

void FixAveMLIPInner::set_arrays(int i)
{
  for (int k = 0; k < N_SUMS; k++) position_sums[i][k] = 0.0;
  for (int k = 0; k < N_COLUMNS; k++) array_atom[i][k] = 0.0;
}

int FixAveMLIPInner::pack_exchange(int i, double *buf)
{
  std::copy_n(position_sums[i], N_SUMS, buf);
  std::copy_n(array_atom[i], N_COLUMNS, buf + N_SUMS);
  return N_SUMS + N_COLUMNS;
}

int FixAveMLIPInner::unpack_exchange(int i, double *buf)
{
  std::copy_n(buf, N_SUMS, position_sums[i]);
  std::copy_n(buf + N_SUMS, N_COLUMNS, array_atom[i]);
  return N_SUMS + N_COLUMNS;
}

/* ---------------------------------------------------------------------- */

double FixAveMLIPInner::memory_usage()
{
  return static_cast<double>(atom->nmax) * (N_SUMS + N_COLUMNS) * sizeof(double);
}
