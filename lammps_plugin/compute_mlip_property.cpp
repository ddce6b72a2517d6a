/* ----------------------------------------------------------------------
   A property is a sum of what atoms give, their mean, or a mean in which an atom weighs exp(score).
   All are sums over the atoms, which processes add up; of the scores the largest of all atoms is
   subtracted first, so that no exponential overflows.
------------------------------------------------------------------------- */

#include "compute_mlip_property.h"

#include "model.h"
#include "pair_mlip.h"

#include "error.h"
#include "force.h"
#include "group.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

using namespace LAMMPS_NS;

/* ----------------------------------------------------------------------
   compute ID all mlip/property NAME ... [substyle N]
------------------------------------------------------------------------- */

ComputeMLIPProperty::ComputeMLIPProperty(LAMMPS *lmp, int narg, char **arg) :
    Compute(lmp, narg, arg)
{
  int end = narg;
  if (narg >= 5 && std::strcmp(arg[narg - 2], "substyle") == 0) {
    substyle = utils::inumeric(FLERR, arg[narg - 1], false, lmp);
    if (substyle < 1)
      error->all(FLERR, "Compute mlip/property: expected a substyle of 1, 2, ..., got {}",
                 substyle);
    end = narg - 2;
  }
  if (end < 4)
    error->all(FLERR,
               "Compute mlip/property expects the names of one or more properties of the model: "
               "compute ID all mlip/property NAME ... [substyle N]");
  if (igroup != group->find("all"))
    error->all(FLERR,
               "Compute mlip/property: a property belongs to all atoms of the model, expected the "
               "group all");
  for (int k = 3; k < end; k++) names.emplace_back(arg[k]);

  scalar_flag = vector_flag = 1;
  extscalar = extvector = 0;    // units and extent are those of the training data: never divided
  size_vector = static_cast<int>(names.size());
  values.assign(names.size(), 0.0);
  vector = values.data();
}

/* ---------------------------------------------------------------------- */

void ComputeMLIPProperty::init()
{
  // without a number: the only sub-style, or the first of several
  Pair *found = force->pair_match("mlip", 1, substyle);
  if (!found && substyle == 0) found = force->pair_match("mlip", 1, 1);
  // LAMMPS returns a single one for every number
  if (substyle > 1 && found == force->pair_match("mlip", 1, substyle - 1)) found = nullptr;
  pair = dynamic_cast<PairMLIP *>(found);
  if (!pair)
    error->all(FLERR, "Compute mlip/property needs pair style mlip, found none{}",
               substyle ? " with the number " + std::to_string(substyle) : "");

  const auto &known = pair->model_info().properties;
  std::string all;
  for (const auto &property : known) all += (all.empty() ? "" : ", ") + property.name;
  columns.clear();
  for (const auto &name : names) {
    size_t k = 0;
    while (k < known.size() && known[k].name != name) k++;
    if (k == known.size())
      error->all(FLERR,
                 "Compute mlip/property: the model {} has no property {}. It has: {}. Models get "
                 "them from mlip-property",
                 pair->model_path(), name, all.empty() ? "none" : all);
    columns.push_back(k);
  }
  evaluated_at = -1;
}

/* ---------------------------------------------------------------------- */

double ComputeMLIPProperty::compute_scalar()
{
  evaluate();
  invoked_scalar = update->ntimestep;
  return scalar = values[0];
}

/* ---------------------------------------------------------------------- */

void ComputeMLIPProperty::compute_vector()
{
  evaluate();
  invoked_vector = update->ntimestep;
}

/* ---------------------------------------------------------------------- */

void ComputeMLIPProperty::evaluate()
{
  // Scalar and vector that are asked for together cost one evaluation. Who asks again in the same
  // step, after atoms have moved, has the flags cleared first.
  const bool is_asked_again = (invoked_flag & (INVOKED_SCALAR | INVOKED_VECTOR)) != 0;
  if (is_asked_again && update->whichflag != 0 && evaluated_at == update->ntimestep) return;
  const auto *terms = pair->properties_here();
  if (!terms) error->all(FLERR, "Compute mlip/property: the model has no atoms");
  const auto &known = pair->model_info().properties;
  const size_t width = known.size(), n_asked = columns.size();
  const size_t n_atoms = terms->values.size() / width;

  std::vector<double> largest(n_asked, -std::numeric_limits<double>::infinity());
  for (size_t n = 0; n < n_atoms; n++)
    for (size_t k = 0; k < n_asked; k++)
      largest[k] = std::max(largest[k], terms->scores[n * width + columns[k]]);
  MPI_Allreduce(MPI_IN_PLACE, largest.data(), static_cast<int>(n_asked), MPI_DOUBLE, MPI_MAX,
                world);

  std::vector<double> sums(2 * n_asked, 0.0);    // of weighted values, of weights
  for (size_t n = 0; n < n_atoms; n++)
    for (size_t k = 0; k < n_asked; k++) {
      const size_t place = n * width + columns[k];
      const bool is_weighted = known[columns[k]].pooling == "attention";
      const double weight = is_weighted ? std::exp(terms->scores[place] - largest[k]) : 1.0;
      sums[k] += weight * terms->values[place];
      sums[n_asked + k] += weight;
    }
  MPI_Allreduce(MPI_IN_PLACE, sums.data(), static_cast<int>(sums.size()), MPI_DOUBLE, MPI_SUM,
                world);

  for (size_t k = 0; k < n_asked; k++) {
    if (sums[n_asked + k] == 0.0)
      error->all(FLERR, "Compute mlip/property: the model has no atoms");
    values[k] = known[columns[k]].pooling == "sum" ? sums[k] : sums[k] / sums[n_asked + k];
    if (!std::isfinite(values[k]))
      error->all(FLERR, "Compute mlip/property: {} is not finite in step {}", names[k],
                 update->ntimestep);
  }
  evaluated_at = update->ntimestep;
}
