#include "centroid_virials.h"

#include "element_map.h"
#include "model_file.h"
#include "settings.h"
#include "together.h"
#include "unfolded_edge_list.h"

#include "compute.h"
#include "error.h"
#include "modify.h"
#include "utils.h"

#include <memory>

using namespace LAMMPS_NS;

namespace mlip {

/* ---------------------------------------------------------------------- */

CentroidVirials::CentroidVirials(LAMMPS *lmp, GhostRows &rows, Agreement &processes,
                                 const Settings &settings, const ModelFile &file,
                                 const ElementMap &elements) :
    Pointers(lmp), processes_(processes), settings_(settings), file_(file), elements_(elements),
    graph_(lmp), results_(lmp, graph_, rows)
{
}

/* ---------------------------------------------------------------------- */

void CentroidVirials::use_model()
{
  const auto &info = file_.info();
  graph_.use(std::make_unique<UnfoldedEdgeList>(info.cutoff, info.message_passing_layers));
}

/* ----------------------------------------------------------------------
   with one layer, every evaluation of the model gives them
------------------------------------------------------------------------- */

void CentroidVirials::begin_run()
{
  const auto &info = file_.info();
  are_wanted_ = false;
  if (info.message_passing_layers == 1 || !info.has_centroid_virials) return;
  for (int n = 0; n < modify->ncompute; n++)
    if (utils::strmatch(modify->compute[n]->style, "^centroid/stress/atom")) are_wanted_ = true;
}

/* ---------------------------------------------------------------------- */

void CentroidVirials::evaluate(const NeighList &list, std::vector<double> &virials)
{
  if (!are_wanted_)
    error->all(FLERR,
               "Pair style mlip: the centroid virials of the model {} need ghost atoms that this "
               "run was not set up with. Define compute centroid/stress/atom before the run "
               "command, and use 'run' without 'pre no'",
               file_.path());
  together(processes_, error, [&] {
    graph_.refresh(list, elements_, settings_, file_.info().message_passing_layers);
    file_.model().centroid_virials(graph_.local(), graph_.positions(), virials);
  });
  graph_.turn_back_tensors(virials);
  results_.add_from_ghosts(virials, 9);
}

}    // namespace mlip
