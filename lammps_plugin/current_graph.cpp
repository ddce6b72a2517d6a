#include "current_graph.h"

#include "element_map.h"
#include "settings.h"

#include "atom.h"
#include "domain.h"
#include "neighbor.h"
#include "update.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

using namespace LAMMPS_NS;

namespace mlip {

/* ---------------------------------------------------------------------- */

void CurrentGraph::use(std::unique_ptr<EdgeList> edges)
{
  edges_ = std::move(edges);
  expect_new_list();
}

/* ----------------------------------------------------------------------
   setup() functions build the list without counting it
------------------------------------------------------------------------- */

bool CurrentGraph::has_new_list() const
{
  return is_stale_ || update->setupflag || neighbor->ncalls != seen_ncalls_ ||
         neighbor->lastcall != seen_lastcall_;
}

/* ---------------------------------------------------------------------- */

void CurrentGraph::rebuild(const NeighList &list, const ElementMap &elements)
{
  std::vector<int64_t> numbers(atom->nlocal + atom->nghost);
  for (size_t i = 0; i < numbers.size(); i++) numbers[i] = elements.number(atom->type[i]);
  exclusions_.apply(numbers);
  edges_->rebuild(list, *atom, *domain, numbers);
  seen_ncalls_ = neighbor->ncalls;
  seen_lastcall_ = neighbor->lastcall;
  is_stale_ = false;
}

/* ---------------------------------------------------------------------- */

void CurrentGraph::refresh(const NeighList &list, const ElementMap &elements,
                           const Settings &settings, int n_layers)
{
  double **x = atom->x;
  if (has_new_list()) rebuild(list, elements);
  const double approach = edges_->largest_approach(x);
  if (approach > neighbor->skin)
    throw std::runtime_error(
        fmt::format("two atoms may have come closer by {:.3g} Angstrom since the neighbor list was "
                    "built, more than the skin of {:.3g}: neighbors may be missing. Use a larger "
                    "skin (neighbor command), a shorter time step or, with r-RESPA, fewer inner "
                    "steps",
                    approach, neighbor->skin));

  local_.structure_inputs = settings.structure_inputs;
  edges_->update(x, n_layers, local_);
  auto &numbers = local_.atomic_numbers;
  numbers.clear();
  for (const int i : edges_->owned()) numbers.push_back(elements.number(atom->type[i]));
  if (local_.n_counted > static_cast<int64_t>(numbers.size()))    // the probe, of any element
    numbers.push_back(elements.number_of_first());
  for (const int i : edges_->others()) numbers.push_back(elements.number(atom->type[i]));

  // a minimizer needs one and the same energy
  if (settings.rotate && update->whichflag != 2) {
    rotation_.emplace(settings.seed, update->ntimestep);
    unturned_.swap(local_.edge_vectors);
    rotation_->turn(unturned_, local_.edge_vectors);
  } else {
    rotation_.reset();
  }
}

/* ---------------------------------------------------------------------- */

std::vector<double> CurrentGraph::positions() const
{
  const auto &owned = edges_->owned();
  double origin[3] = {0.0, 0.0, 0.0};
  for (const int i : owned)
    for (int k = 0; k < 3; k++) origin[k] += atom->x[i][k] / static_cast<double>(owned.size());

  std::vector<double> values;
  values.reserve(3 * local_.n_atoms());
  const auto add = [&](int i) {
    for (int k = 0; k < 3; k++) values.push_back(atom->x[i][k] - origin[k]);
  };
  for (const int i : owned) add(i);
  values.resize(3 * std::max<size_t>(owned.size(), local_.n_counted), 0.0);    // with the probe
  for (const int i : edges_->others()) add(i);
  if (!rotation_) return values;
  std::vector<double> turned;
  rotation_->turn(values, turned);
  return turned;
}

/* ---------------------------------------------------------------------- */

void CurrentGraph::turn_back_tensors(std::vector<double> &tensors) const
{
  if (rotation_) rotation_->turn_back_tensors(tensors);
}

/* ---------------------------------------------------------------------- */

void CurrentGraph::turn_back(Evaluation &full) const
{
  if (rotation_) rotation_->turn_back(full);
}

/* ---------------------------------------------------------------------- */

void CurrentGraph::turn_back(NonConservative &direct) const
{
  if (!rotation_) return;
  rotation_->turn_back(direct.forces);
  rotation_->turn_back(direct.virial);
}

/* ---------------------------------------------------------------------- */

double CurrentGraph::memory_usage() const
{
  const size_t n_integers = local_.atomic_numbers.capacity() + local_.edge_index.capacity() +
                            local_.reverse_edge.capacity();
  const size_t n_numbers = local_.edge_vectors.capacity() + unturned_.capacity();
  return (edges_ ? edges_->memory_usage() : 0.0) +
         static_cast<double>(n_integers * sizeof(int64_t) + n_numbers * sizeof(double));
}

}    // namespace mlip
