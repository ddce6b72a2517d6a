#include "committee_member.h"

#include "elements.h"
#include "pair_mlip.h"

#include "atom.h"
#include "error.h"
#include "neighbor.h"

#include <limits>
#include <utility>

using namespace LAMMPS_NS;

/* ---------------------------------------------------------------------- */

CommitteeMember::CommitteeMember(LAMMPS *lmp, std::string file_name) :
    Pair(lmp), name(std::move(file_name)), processes(world), file(lmp, processes), elements(lmp),
    output(*this, false), evaluator(lmp, *this, processes, chosen, file, elements, output)
{
}

/* ---------------------------------------------------------------------- */

void CommitteeMember::prepare(const PairMLIP &driving)
{
  const auto &theirs = driving.driving_settings();
  const auto &numbers = driving.driving_elements().numbers();
  if (file.is_loaded() && prepared_settings == theirs.text && prepared_elements == numbers) return;

  const bool same_device = file.is_loaded() && chosen.device == theirs.device;
  chosen = theirs;
  chosen.forces = mlip::Forces::CONSERVATIVE;
  chosen.on_disagreement = mlip::OnDisagreement::IGNORE;
  chosen.max_force = std::numeric_limits<double>::infinity();    // it moves nothing
  evaluator.apply_settings();
  if (!same_device) {
    file.load(name, chosen.device);
    evaluator.use_model();
  }
  require_structure_inputs();
  // the layout of features is a matter of each model
  if (chosen.parallel == mlip::Parallel::EXCHANGE && !file.info().has_feature_exchange)
    chosen.parallel = mlip::Parallel::AUTO;

  std::vector<std::string> symbols;
  for (int type = 1; type <= atom->ntypes; type++)
    symbols.push_back(numbers[type] ? mlip::ELEMENT_SYMBOLS[numbers[type] - 1] : "NULL");
  elements.assign(symbols.data(), file, true);
  output.set_elements(elements.n_elements());
  prepared_settings = theirs.text;
  prepared_elements = numbers;
}

/* ---------------------------------------------------------------------- */

void CommitteeMember::require_structure_inputs()
{
  std::map<std::string, double> given;
  for (const auto &input : file.info().structure_inputs) {
    const auto found = chosen.structure_inputs.find(input);
    if (found == chosen.structure_inputs.end())
      error->all(FLERR,
                 "Compute mlip/deviation: the model in {} depends on {}, and that of pair style "
                 "mlip does not. Models of a committee need the same inputs",
                 file.path(), input);
    given.insert(*found);
  }
  chosen.structure_inputs = given;
}

/* ---------------------------------------------------------------------- */

void CommitteeMember::begin_run()
{
  neighbor->add_request(this, evaluator.begin_run());
}

/* ---------------------------------------------------------------------- */

mlip::PresentEvaluation CommitteeMember::conservative_here()
{
  if (!list) error->all(FLERR, "Compute mlip/deviation is used before a run was set up");
  const auto *values = evaluator.conservative_here(*list);
  return {values, evaluator.owned()};
}

/* ---------------------------------------------------------------------- */

int CommitteeMember::pack_forward_comm(int n, int *atoms, double *buffer, int, int *)
{
  return evaluator.rows().pack_forward(n, atoms, buffer);
}

void CommitteeMember::unpack_forward_comm(int n, int first, double *buffer)
{
  evaluator.rows().unpack_forward(n, first, buffer);
}

int CommitteeMember::pack_reverse_comm(int n, int first, double *buffer)
{
  return evaluator.rows().pack_reverse(n, first, buffer);
}

void CommitteeMember::unpack_reverse_comm(int n, int *atoms, double *buffer)
{
  evaluator.rows().unpack_reverse(n, atoms, buffer);
}
