// What an instance of pair style mlip holds; only its own source files see it.

#ifndef MLIP_PAIR_MLIP_DATA_H
#define MLIP_PAIR_MLIP_DATA_H

#include "pair_mlip.h"

#include "edge_list.h"
#include "model.h"
#include "rotation.h"
#include "settings.h"

#include "atom.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace LAMMPS_NS {

class FixMLIP;

// entries of pvector, which `compute ID all pair mlip` shows; one per element follows them
enum { N_NON_CONSERVATIVE, N_FULL, RMS_DISAGREEMENT, MAX_DISAGREEMENT, N_EXTRA };
static constexpr int MAX_ELEMENTS = 118;

// the disagreement of the heads before any evaluation of both
static constexpr double NOT_EVALUATED = -1.0;

struct PairMLIP::Data {
  mlip::Settings settings;
  double from_ev = 1.0;    // eV -> energy unit of this simulation

  // pair_coeff
  std::string coeff;    // file and elements as given, for restart files
  std::string file;     // as found
  std::shared_ptr<mlip::Model> model;
  std::vector<int64_t> number_of_type;     // (n_types + 1) atomic numbers, 0 = no atom of the model
  std::vector<int> element_of_type;        // (n_types + 1) place among the elements
  std::vector<std::string> elements;       // in the order of pair_coeff
  std::vector<std::vector<char>> pairs;    // pairs of types that are this style's
  std::string checksum_of_restart;         // of the model that wrote a restart file
  std::string restart_problem;             // why the model of a restart file cannot be used

  // beside a sub-style with `forces correction`: the two share what the other one evaluates
  PairMLIP *correction = nullptr;
  PairMLIP *non_conservative = nullptr;

  // gather
  std::unique_ptr<mlip::EdgeList> edges;
  mlip::LocalGraph graph;
  std::vector<double> unturned;    // edge vectors in the frame of the simulation, if it is rotated
  bool edges_are_stale = true;
  bigint seen_ncalls = -1, seen_lastcall = -1;    // identify a build of the neighbor list

  // evaluate
  mlip::Evaluation full;
  mlip::NonConservative direct;    // of the last NC-only evaluation

  // what the last full evaluation belongs to
  std::vector<double> evaluated_x;     // (n_owned + n_ghost, 3)
  std::vector<int> evaluated_types;    // (n_owned)

  // r-RESPA
  int inner_steps = 1;    // inner calls in one outer step
  int calls_since_outer = 0;
  int corrections_since_inner = 0;

  // what users are told once in a run
  bool warned_non_conservative = false, warned_skin = false, warned_disagreement = false;

  FixMLIP *guard = nullptr;
  std::string unsure;    // why to stop at the end of this step

  bool is_correction() const { return settings.forces == mlip::Forces::CORRECTION; }
  bool is_non_conservative() const { return settings.forces == mlip::Forces::NON_CONSERVATIVE; }

  // is `full` an evaluation at exactly the present positions, with everything that is needed?
  bool has_full(const Atom *atom, bool with_atomic_virials) const
  {
    const size_t n_values = 3 * static_cast<size_t>(atom->nlocal + atom->nghost);
    const size_t n_owned = atom->nlocal, n_atoms = graph.atomic_numbers.size();
    return n_atoms > 0 && evaluated_x.size() == n_values && evaluated_types.size() == n_owned &&
           full.direct.forces.size() == 3 * n_atoms &&
           (!with_atomic_virials || full.atomic_virials.size() == 9 * n_atoms) &&
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
