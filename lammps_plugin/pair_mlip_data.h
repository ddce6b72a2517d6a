// What an instance of pair style mlip holds; only its own source files see it.

#ifndef MLIP_PAIR_MLIP_DATA_H
#define MLIP_PAIR_MLIP_DATA_H

#include "pair_mlip.h"

#include "edge_list.h"
#include "model.h"

#include "atom.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace LAMMPS_NS {

// entries of pvector, which `compute ID all pair mlip` shows
enum { N_NON_CONSERVATIVE, N_FULL, RMS_DISAGREEMENT, MAX_DISAGREEMENT, N_EXTRA };

// the disagreement of the heads before any evaluation of both
static constexpr double NOT_EVALUATED = -1.0;

struct PairMLIP::Data {
  std::string file;    // as found
  std::string device = "auto";
  bool non_conservative = false;    // pair_style mlip forces non_conservative
  bool warned_non_conservative = false, warned_skin = false;
  double from_ev = 1.0;    // eV -> energy unit of this simulation

  std::unique_ptr<mlip::Model> model;
  std::vector<int64_t> number_of_type;    // (n_types + 1) atomic numbers

  // gather
  std::unique_ptr<mlip::EdgeList> edges;
  mlip::LocalGraph graph;
  bool edges_are_stale = true;
  bigint seen_ncalls = -1, seen_lastcall = -1;    // identify a build of the neighbor list

  // evaluate
  mlip::Evaluation full;
  std::vector<double> non_conservative_forces;    // of the last NC-only evaluation

  // what the last full evaluation belongs to
  std::vector<double> evaluated_x;     // (n_owned + n_ghost, 3)
  std::vector<int> evaluated_types;    // (n_owned)

  // r-RESPA
  int inner_steps = 1;    // inner calls in one outer step
  int calls_since_outer = 0;

  // is `full` an evaluation at exactly the present positions, with everything that is needed?
  bool has_full(const Atom *atom, bool with_atomic_virials) const
  {
    const size_t n_values = 3 * static_cast<size_t>(atom->nlocal + atom->nghost);
    const size_t n_owned = atom->nlocal;
    return n_owned > 0 && evaluated_x.size() == n_values && evaluated_types.size() == n_owned &&
           full.non_conservative_forces.size() == 3 * n_owned &&
           (!with_atomic_virials || full.atomic_virials.size() == 9 * n_owned) &&
           std::equal(evaluated_types.begin(), evaluated_types.end(), atom->type) &&
           std::equal(evaluated_x.begin(), evaluated_x.end(), &atom->x[0][0]);
  }

  void remember_positions(const Atom *atom)
  {
    evaluated_x.assign(&atom->x[0][0],
                       &atom->x[0][0] + 3 * static_cast<size_t>(atom->nlocal + atom->nghost));
    evaluated_types.assign(atom->type, atom->type + atom->nlocal);
  }
};

}    // namespace LAMMPS_NS

#endif
