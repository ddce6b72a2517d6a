#include "evaluator.h"

#include "element_map.h"
#include "model_file.h"
#include "output_vector.h"
#include "settings.h"
#include "together.h"

#include "atom.h"
#include "comm.h"
#include "neighbor.h"

using namespace LAMMPS_NS;

namespace mlip {

/* ---------------------------------------------------------------------- */

Evaluator::Evaluator(LAMMPS *lmp, Pair &pair, Agreement &processes, const Settings &settings,
                     const ModelFile &file, const ElementMap &elements, OutputVector &output) :
    Pointers(lmp), processes_(processes), settings_(settings), file_(file), elements_(elements),
    output_(output), rows_(lmp, pair), graph_(lmp), decomposition_(lmp, graph_, rows_, processes),
    results_(lmp, graph_, rows_),
    centroid_virials_(lmp, rows_, processes, settings, file, elements), watch_(lmp, graph_, file),
    disagreement_(lmp, processes)
{
}

/* ---------------------------------------------------------------------- */

void Evaluator::apply_settings()
{
  disagreement_.set(settings_);
  last_.forget();
  n_non_conservative_ = n_full_ = 0;
  output_.clear();
}

/* ---------------------------------------------------------------------- */

void Evaluator::use_model()
{
  decomposition_.start_over(file_.info());
  centroid_virials_.use_model();
  disagreement_.use_model(file_.info());
  last_.forget();
}

/* ---------------------------------------------------------------------- */

int Evaluator::begin_run()
{
  centroid_virials_.begin_run();
  const bool unfolds = centroid_virials_.are_wanted();
  if (decomposition_.begin_run(file_, settings_.parallel, unfolds)) last_.forget();
  disagreement_.begin_run();
  expect_new_list();
  int request = NeighConst::REQ_FULL;
  if (unfolds || decomposition_.needs_neighbors_of_ghosts(file_.info()))
    request |= NeighConst::REQ_GHOST;
  return request;
}

/* ---------------------------------------------------------------------- */

void Evaluator::expect_new_list()
{
  graph_.expect_new_list();
  centroid_virials_.expect_new_list();
}

/* ---------------------------------------------------------------------- */

bool Evaluator::gather(const NeighList &list, bool for_non_conservative_only)
{
  const auto &info = file_.info();
  const int n_layers = for_non_conservative_only ? info.non_conservative_layers : info.most_layers;
  together(processes_, error, [&] {
    watch_.check_positions(elements_);
    graph_.refresh(list, elements_, settings_, n_layers);
  });
  decomposition_.tell_graph();
  return comm->nprocs > 1 || graph_.local().n_atoms() > 0;
}

/* ---------------------------------------------------------------------- */

const Evaluation &Evaluator::evaluate(bool with_non_conservative, bool with_atomic_virials)
{
  auto &full = last_.start();
  together(processes_, error, [&] {
    file_.model().evaluate(graph_.local(), with_non_conservative, with_atomic_virials,
                           decomposition_.exchange(), full);
  });
  graph_.turn_back(full);
  output_.show(OutputVector::N_FULL, ++n_full_);
  results_.reduce(full);

  together(processes_, error, [&] {
    watch_.check_energies(full.atomic_energies, full.forces);
    watch_.check_forces(full.forces, "conservative", settings_.max_force);
    if (with_non_conservative)
      watch_.check_forces(full.direct.forces, "non-conservative", settings_.max_force);
  });
  if (with_non_conservative) {
    disagreement_.measure(full, owned(), elements_, output_);
    if (other_output_) output_.copy_to(*other_output_);
  }
  last_.keep(*atom, with_non_conservative);
  return full;
}

/* ---------------------------------------------------------------------- */

const NonConservative &Evaluator::evaluate_non_conservative()
{
  together(processes_, error, [&] {
    file_.model().non_conservative(graph_.local(), decomposition_.exchange(), direct_);
  });
  graph_.turn_back(direct_);
  output_.show(OutputVector::N_NON_CONSERVATIVE, ++n_non_conservative_);
  results_.reduce(direct_);
  together(processes_, error,
           [&] { watch_.check_forces(direct_.forces, "non-conservative", settings_.max_force); });
  return direct_;
}

/* ---------------------------------------------------------------------- */

bool Evaluator::has_both_here(bool with_atomic_virials) const
{
  return processes_.all(last_.is_here(*atom, owned().size(), true, with_atomic_virials));
}

/* ---------------------------------------------------------------------- */

const Evaluation &Evaluator::both(bool with_atomic_virials)
{
  return has_both_here(with_atomic_virials) ? last_.values() : evaluate(true, with_atomic_virials);
}

/* ---------------------------------------------------------------------- */

const Evaluation *Evaluator::both_here(const NeighList &list, bool with_atomic_virials)
{
  if (has_both_here(with_atomic_virials)) return &last_.values();
  return gather(list) ? &evaluate(true, with_atomic_virials) : nullptr;
}

/* ---------------------------------------------------------------------- */

const Evaluation *Evaluator::conservative_here(const NeighList &list)
{
  if (processes_.all(last_.is_here(*atom, owned().size(), false, false))) return &last_.values();
  return gather(list) ? &evaluate(false, false) : nullptr;
}

/* ---------------------------------------------------------------------- */

const PropertyTerms *Evaluator::properties_here(const NeighList &list)
{
  if (!gather(list)) return nullptr;
  together(processes_, error, [&] {
    file_.model().properties(graph_.local(), decomposition_.exchange(), properties_);
  });
  // rows of owned atoms come first, those of the probe and of ghosts do not count
  const size_t n = owned().size() * file_.info().properties.size();
  properties_.values.resize(n);
  properties_.scores.resize(n);
  return &properties_;
}

/* ----------------------------------------------------------------------
   those of one layer are there already; those of an old file are missed where they are summed up
------------------------------------------------------------------------- */

void Evaluator::complete_centroid_virials(const NeighList &list)
{
  auto &virials = last_.centroid_virials();
  if (!file_.info().has_centroid_virials) return;
  if (processes_.all(virials.size() == 9 * owned().size())) return;
  centroid_virials_.evaluate(list, virials);
}

/* ---------------------------------------------------------------------- */

double Evaluator::memory_usage() const
{
  return graph_.memory_usage() + decomposition_.memory_usage() + rows_.memory_usage() +
         centroid_virials_.memory_usage() + last_.memory_usage();
}

}    // namespace mlip
