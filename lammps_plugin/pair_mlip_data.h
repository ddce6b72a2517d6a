// What an instance of pair style mlip holds; only its own source files see it.

#ifndef MLIP_PAIR_MLIP_DATA_H
#define MLIP_PAIR_MLIP_DATA_H

#include "pair_mlip.h"

#include "agreement.h"
#include "boundary_edges.h"
#include "edge_list.h"
#include "exchange.h"
#include "model.h"
#include "rotation.h"
#include "settings.h"

#include "atom.h"
#include "error.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace LAMMPS_NS {

class FixMLIP;

// entries of pvector, which `compute ID all pair mlip` shows; one per element follows them
enum { N_NON_CONSERVATIVE, N_FULL, RMS_DISAGREEMENT, MAX_DISAGREEMENT, N_EXTRA };
static constexpr int MAX_ELEMENTS = 118;

// the disagreement of the heads before any evaluation of both
static constexpr double NOT_EVALUATED = -1.0;

// most numbers of an atom that go to or come from its ghosts in one message
static constexpr int MAX_COLUMNS = 128;

struct PairMLIP::Data {
  explicit Data(MPI_Comm world) : processes(world) {}

  mlip::Agreement processes;
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

  // rows (n_owned + n_ghost, row_width) of which columns travel to or from ghosts
  std::vector<double> rows;
  int row_width = 0, first_column = 0, n_columns = 0;
  bool rows_are_float = false;    // two of them in the place of one double

  // of features, where atoms of others are not evaluated here, and of edges to them; null otherwise
  std::unique_ptr<mlip::FeatureExchange> exchange;
  std::unique_ptr<mlip::BoundaryEdges> boundary;

  // evaluate; on several processes for the owned atoms only
  mlip::Evaluation full;
  mlip::NonConservative direct;    // of the last NC-only evaluation

  int64_t n_non_conservative = 0, n_full = 0;    // evaluations since the last pair_style command

  // what the last full evaluation belongs to
  bool is_evaluated = false;
  std::vector<double> evaluated_x;     // (n_owned + n_ghost, 3)
  std::vector<int> evaluated_types;    // (n_owned)

  // r-RESPA
  int inner_steps = 1;    // inner calls in one outer step
  int calls_since_outer = 0;
  int corrections_since_inner = 0;

  // what users are told once in a run
  std::optional<bool> announced_exchange;
  bool told_graph = false;
  bool warned_non_conservative = false, warned_skin = false, warned_disagreement = false;

  FixMLIP *guard = nullptr;
  std::string unsure;    // why to stop at the end of this step

  bool is_correction() const { return settings.forces == mlip::Forces::CORRECTION; }
  bool is_non_conservative() const { return settings.forces == mlip::Forces::NON_CONSERVATIVE; }

  // is `full` an evaluation at exactly the present positions, with everything that is needed?
  bool has_full_here(const Atom *atom, bool with_atomic_virials) const
  {
    const size_t n_values = 3 * static_cast<size_t>(atom->nlocal + atom->nghost);
    const size_t n_types = atom->nlocal, n_atoms = edges->owned().size();
    return is_evaluated && evaluated_x.size() == n_values && evaluated_types.size() == n_types &&
           full.direct.forces.size() == 3 * n_atoms &&
           (!with_atomic_virials || full.atomic_virials.size() == 9 * n_atoms) &&
           std::equal(evaluated_types.begin(), evaluated_types.end(), atom->type) &&
           (n_values == 0 || std::equal(evaluated_x.begin(), evaluated_x.end(), &atom->x[0][0]));
  }

  void remember_positions(const Atom *atom)
  {
    const size_t n_values = 3 * static_cast<size_t>(atom->nlocal + atom->nghost);
    evaluated_x.clear();
    if (n_values) evaluated_x.assign(&atom->x[0][0], &atom->x[0][0] + n_values);
    evaluated_types.assign(atom->type, atom->type + atom->nlocal);
    is_evaluated = true;
  }
};

/* ----------------------------------------------------------------------
   what may fail on one process, on all of them: an exception on any ends all with its
   message. Communication within it begins with an agreement.
------------------------------------------------------------------------- */

template <typename Work> void PairMLIP::together(Work &&work)
{
  std::string problem;
  try {
    work();
  } catch (const std::exception &e) {
    problem = e.what();
    if (problem.empty()) problem = "an error without a message";
  }
  problem = data->processes.outcome(problem);
  if (!problem.empty()) error->all(FLERR, "Pair style mlip: {}", problem);
}

}    // namespace LAMMPS_NS

#endif
