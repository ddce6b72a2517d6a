#include "disagreement.h"

#include "agreement.h"
#include "element_map.h"
#include "model.h"
#include "output_vector.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "library.h"
#include "update.h"
#include "utils.h"

#include <cmath>

using namespace LAMMPS_NS;

namespace mlip {

/* ---------------------------------------------------------------------- */

double disagreement_sq(const Evaluation &full, size_t k)
{
  double square = 0.0;
  for (int c = 0; c < 3; c++) {
    const double d = full.forces[3 * k + c] - full.direct.forces[3 * k + c];
    square += d * d;
  }
  return square;
}

/* ---------------------------------------------------------------------- */

void Disagreement::set(const Settings &settings)
{
  action_ = settings.on_disagreement;
  limit_ = settings.max_disagreement;
}

/* ---------------------------------------------------------------------- */

void Disagreement::use_model(const ModelInfo &info)
{
  limit_of_model_ = info.disagreement_limit;
}

/* ---------------------------------------------------------------------- */

void Disagreement::begin_run()
{
  has_warned_ = false;
  if (!is_watched() || limit_ > 0.0) return;
  if (limit_of_model_ <= 0.0)
    error->all(FLERR,
               "Pair style mlip: the model file does not say how far its conservative and "
               "non-conservative forces differ, so a limit is needed: disagreement {} F, in "
               "eV/Angstrom",
               action_ == OnDisagreement::STOP ? "stop" : "warn");
  if (comm->me == 0)
    utils::logmesg(lmp,
                   "Pair style mlip: disagreement {} {:.4g} eV/Angstrom, from the model file\n",
                   action_ == OnDisagreement::STOP ? "stop" : "warn", limit_of_model_);
}

/* ---------------------------------------------------------------------- */

void Disagreement::measure(const Evaluation &full, const std::vector<int> &owned,
                           const ElementMap &elements, OutputVector &output)
{
  const int n_elements = elements.n_elements();
  // sums of squares, then numbers of atoms
  std::vector<double> mine(2 * n_elements, 0.0), all(2 * n_elements);
  double largest = -1.0;
  int worst = -1;
  for (size_t k = 0; k < owned.size(); k++) {
    const double square = disagreement_sq(full, k);
    const int element = elements.element(atom->type[owned[k]]);
    mine[element] += square;
    mine[n_elements + element] += 1.0;
    if (square > largest) {
      largest = square;
      worst = owned[k];
    }
  }
  MPI_Allreduce(mine.data(), all.data(), 2 * n_elements, MPI_DOUBLE, MPI_SUM, world);
  struct {
    double value;
    int process;
  } candidate = {largest, comm->me}, chosen;
  MPI_Allreduce(&candidate, &chosen, 1, MPI_DOUBLE_INT, MPI_MAXLOC, world);

  const auto root = [](double sum, double count) {
    return count > 0.0 ? std::sqrt(sum / count) : OutputVector::NOT_EVALUATED;
  };
  double sum = 0.0, count = 0.0;
  for (int e = 0; e < n_elements; e++) {
    sum += all[e];
    count += all[n_elements + e];
    output.show_element(e, root(all[e], all[n_elements + e]));
  }
  output.show(OutputVector::RMS_DISAGREEMENT, root(sum, count));
  output.show(OutputVector::MAX_DISAGREEMENT, root(chosen.value, count > 0.0 ? 1.0 : 0.0));
  if (count > 0.0 && is_watched() && std::sqrt(chosen.value) > limit())
    judge(std::sqrt(chosen.value), chosen.process == comm->me ? worst : -1);
}

/* ----------------------------------------------------------------------
   called on all processes; one of them has the atom with the largest difference
------------------------------------------------------------------------- */

void Disagreement::judge(double difference, int worst)
{
  std::string message;
  if (worst >= 0)
    message = fmt::format(
        "Pair style mlip: conservative and non-conservative force on atom {} (type {}) differ by "
        "{:.4g} eV/Angstrom in step {}, more than {:.4g}: the model may not know this environment",
        atom->tag[worst], atom->type[worst], difference, update->ntimestep, limit());
  message = processes_.first_problem(message);
  if (action_ == OnDisagreement::STOP) {
    if (unsure_.empty()) unsure_ = message;
    if (update->whichflag == 2) stop_if_unsure();    // no fix is asked between its steps
  } else if (!has_warned_) {
    has_warned_ = true;
    if (comm->me == 0) error->warning(FLERR, "{}. This is said once in a run", message);
  }
}

/* ----------------------------------------------------------------------
   LAMMPS takes no commands during a run, which is over
------------------------------------------------------------------------- */

void Disagreement::stop_if_unsure()
{
  if (unsure_.empty()) return;
  const std::string message = unsure_;
  unsure_.clear();
  action_ = OnDisagreement::IGNORE;
  const auto name = fmt::format("mlip_disagreement_{}.restart", update->ntimestep);
  update->whichflag = 0;
  lammps_command(lmp, ("write_restart " + name).c_str());
  if (lammps_has_error(lmp)) error->all(FLERR, "{}. {} could not be written", message, name);
  error->all(FLERR, "{}. The state is in {}", message, name);
}

}    // namespace mlip
