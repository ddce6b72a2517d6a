/* ----------------------------------------------------------------------
   The deviation of an atom's force, over the models m of a committee, is
   sqrt(<|F_m - <F_m>|^2>); that of a component of the virial and that of the energy are standard
   deviations of the same kind, divided by the number of atoms (Zhang et al., Comput. Phys. Commun.
   253, 107206 (2020)).
------------------------------------------------------------------------- */

#include "compute_mlip_deviation.h"

#include "committee_member.h"
#include "model.h"
#include "pair_mlip.h"
#include "present_evaluation.h"

#include "atom.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

using namespace LAMMPS_NS;

/* ----------------------------------------------------------------------
   compute ID group mlip/deviation FILE ... [substyle N]
------------------------------------------------------------------------- */

ComputeMLIPDeviation::ComputeMLIPDeviation(LAMMPS *lmp, int narg, char **arg) :
    Compute(lmp, narg, arg)
{
  int end = narg;
  if (narg >= 5 && std::strcmp(arg[narg - 2], "substyle") == 0) {
    substyle = utils::inumeric(FLERR, arg[narg - 1], false, lmp);
    if (substyle < 1)
      error->all(FLERR, "Compute mlip/deviation: expected a substyle of 1, 2, ..., got {}",
                 substyle);
    end = narg - 2;
  }
  if (end < 4)
    error->all(FLERR,
               "Compute mlip/deviation expects the files of one or more further models: compute ID "
               "group-ID mlip/deviation FILE ... [substyle N]");
  for (int k = 3; k < end; k++) members.push_back(std::make_unique<CommitteeMember>(lmp, arg[k]));

  scalar_flag = vector_flag = peratom_flag = 1;
  extscalar = extvector = 0;
  size_vector = N_ENTRIES;
  vector = values;
  size_peratom_cols = 0;
}

/* ---------------------------------------------------------------------- */

ComputeMLIPDeviation::~ComputeMLIPDeviation()
{
  memory->destroy(vector_atom);
}

/* ---------------------------------------------------------------------- */

void ComputeMLIPDeviation::find_pair()
{
  // without a number: the only sub-style, or the first of several
  Pair *found = force->pair_match("mlip", 1, substyle);
  if (!found && substyle == 0) found = force->pair_match("mlip", 1, 1);
  // LAMMPS returns a single one for every number
  if (substyle > 1 && found == force->pair_match("mlip", 1, substyle - 1)) found = nullptr;
  pair = dynamic_cast<PairMLIP *>(found);
  if (!pair)
    error->all(FLERR, "Compute mlip/deviation needs pair style mlip, found none{}",
               substyle ? " with the number " + std::to_string(substyle) : "");
}

/* ---------------------------------------------------------------------- */

double ComputeMLIPDeviation::prepare()
{
  find_pair();
  double cutoff = 0.0;
  for (auto &member : members) {
    member->prepare(*pair);
    cutoff = std::max(cutoff, member->cutoff());
  }
  return cutoff;
}

/* ---------------------------------------------------------------------- */

void ComputeMLIPDeviation::init()
{
  prepare();
  for (auto &member : members) member->begin_run();
}

/* ---------------------------------------------------------------------- */

double ComputeMLIPDeviation::compute_scalar()
{
  invoked_scalar = update->ntimestep;
  evaluate();
  return scalar = values[MAX_F];
}

void ComputeMLIPDeviation::compute_vector()
{
  invoked_vector = update->ntimestep;
  evaluate();
}

void ComputeMLIPDeviation::compute_peratom()
{
  invoked_peratom = update->ntimestep;
  if (atom->nmax > nmax) {
    memory->destroy(vector_atom);
    nmax = atom->nmax;
    memory->create(vector_atom, nmax, "mlip/deviation:vector_atom");
  }
  evaluate();
  std::copy(deviations.begin(), deviations.end(), vector_atom);
}

/* ----------------------------------------------------------------------
   each model keeps its last evaluation, so that scalar, vector and atoms of a step cost one
------------------------------------------------------------------------- */

void ComputeMLIPDeviation::evaluate()
{
  const size_t nlocal = atom->nlocal;
  deviations.assign(nlocal, 0.0);
  std::fill_n(values, static_cast<int>(N_ENTRIES), 0.0);
  std::vector<mlip::PresentEvaluation> found;
  found.push_back(pair->conservative_here());
  for (auto &member : members) found.push_back(member->conservative_here());
  for (const auto &one : found)
    if (!one.values) return;    // nobody has atoms
  const double n_models = found.size();

  // forces, by the atoms' places here
  std::vector<double> mean(3 * nlocal, 0.0);
  for (const auto &[result, atoms] : found)
    for (size_t k = 0; k < atoms.size(); k++)
      for (int d = 0; d < 3; d++)
        mean[3 * static_cast<size_t>(atoms[k]) + d] += result->forces[3 * k + d] / n_models;
  std::vector<char> is_counted(nlocal, 0);
  for (const auto &[result, atoms] : found)
    for (size_t k = 0; k < atoms.size(); k++) {
      const size_t i = atoms[k];
      if (!(atom->mask[i] & groupbit)) continue;
      is_counted[i] = 1;
      for (int d = 0; d < 3; d++) {
        const double difference = result->forces[3 * k + d] - mean[3 * i + d];
        deviations[i] += difference * difference / n_models;
      }
    }
  for (double &deviation : deviations) deviation = std::sqrt(deviation);

  // energy and virial of all atoms of the models: sums over the processes
  std::vector<double> sums;
  for (const auto &[result, atoms] : found) {
    sums.push_back(result->energy);
    for (int a = 0; a < 3; a++)
      for (int b = 0; b < 3; b++)
        sums.push_back(0.5 * (result->virial[a][b] + result->virial[b][a]));
  }
  sums.push_back(static_cast<double>(found[0].atoms.size()));
  MPI_Allreduce(MPI_IN_PLACE, sums.data(), static_cast<int>(sums.size()), MPI_DOUBLE, MPI_SUM,
                world);
  const double n_atoms = sums.back();
  if (n_atoms == 0.0) return;
  double spread[10];
  for (int c = 0; c < 10; c++) {
    double average = 0.0, square = 0.0;
    for (size_t m = 0; m < found.size(); m++) average += sums[10 * m + c] / n_models;
    for (size_t m = 0; m < found.size(); m++)
      square += (sums[10 * m + c] - average) * (sums[10 * m + c] - average) / n_models;
    spread[c] = std::sqrt(square) / n_atoms;
  }
  values[ENERGY] = spread[0];
  values[MAX_V] = *std::max_element(spread + 1, spread + 10);
  values[MIN_V] = *std::min_element(spread + 1, spread + 10);
  for (int c = 1; c < 10; c++) values[MEAN_V] += spread[c] * spread[c] / 9.0;
  values[MEAN_V] = std::sqrt(values[MEAN_V]);
  summarize(is_counted);
}

/* ----------------------------------------------------------------------
   over the atoms of the group that have an element
------------------------------------------------------------------------- */

void ComputeMLIPDeviation::summarize(const std::vector<char> &is_counted)
{
  double extremes[2] = {0.0, -std::numeric_limits<double>::infinity()};    // max, and max of minus
  double sums[2] = {0.0, 0.0};
  for (size_t i = 0; i < is_counted.size(); i++) {
    if (!is_counted[i]) continue;
    extremes[0] = std::max(extremes[0], deviations[i]);
    extremes[1] = std::max(extremes[1], -deviations[i]);
    sums[0] += deviations[i];
    sums[1] += 1.0;
  }
  MPI_Allreduce(MPI_IN_PLACE, extremes, 2, MPI_DOUBLE, MPI_MAX, world);
  MPI_Allreduce(MPI_IN_PLACE, sums, 2, MPI_DOUBLE, MPI_SUM, world);
  if (sums[1] == 0.0) return;
  values[MAX_F] = extremes[0];
  values[MIN_F] = -extremes[1];
  values[MEAN_F] = sums[0] / sums[1];
}

/* ---------------------------------------------------------------------- */

double ComputeMLIPDeviation::memory_usage()
{
  double bytes = static_cast<double>(nmax) * sizeof(double);
  for (auto &member : members) bytes += member->memory_usage();
  return bytes;
}
