#include "watch.h"

#include "current_graph.h"
#include "element_map.h"
#include "model_file.h"
#include "neighborhood_file.h"

#include "atom.h"
#include "update.h"

#include <cmath>
#include <stdexcept>

using namespace LAMMPS_NS;

namespace mlip {

/* ---------------------------------------------------------------------- */

void Watch::check_positions(const ElementMap &elements) const
{
  double **x = atom->x;
  for (int i = 0; i < atom->nlocal; i++)
    if (elements.number(atom->type[i]) && !std::isfinite(x[i][0] + x[i][1] + x[i][2]))
      throw std::runtime_error(
          fmt::format("the position of atom {} is not a number: ({}, {}, {}). The simulation is "
                      "unstable or the input is wrong",
                      atom->tag[i], x[i][0], x[i][1], x[i][2]));
}

/* ---------------------------------------------------------------------- */

void Watch::check_energies(const std::vector<double> &energies,
                           const std::vector<double> &forces) const
{
  const int n_atoms = static_cast<int>(graph_.edges().owned().size());
  for (int k = 0; k < n_atoms; k++)
    if (!std::isfinite(energies[k])) stop_at_atom(k, forces, "the energy is not a number");
}

/* ---------------------------------------------------------------------- */

void Watch::check_forces(const std::vector<double> &forces, const char *which, double largest) const
{
  const int n_atoms = static_cast<int>(graph_.edges().owned().size());
  for (int k = 0; k < n_atoms; k++) {
    const double *f = &forces[3 * static_cast<size_t>(k)];
    const double norm_sq = f[0] * f[0] + f[1] * f[1] + f[2] * f[2];
    if (!std::isfinite(norm_sq))
      stop_at_atom(
          k, forces,
          fmt::format("the {} force is not a number. Are two atoms at the same place?", which));
    if (norm_sq > largest * largest && update->whichflag == 1)
      stop_at_atom(k, forces,
                   fmt::format("the {} force is {:.4g} eV/Angstrom, more than max_force {:.4g}. "
                               "The simulation explodes: try a shorter time step, fewer inner "
                               "steps or a minimization first",
                               which, std::sqrt(norm_sq), largest));
  }
}

/* ---------------------------------------------------------------------- */

void Watch::stop_at_atom(int k, const std::vector<double> &forces, const std::string &reason) const
{
  const int i = graph_.edges().owned()[k];
  const std::string file =
      write_neighborhood(graph_, k, forces, *atom, update->ntimestep, file_.info().name);
  throw std::runtime_error(fmt::format("atom {} (type {}) in step {}: {}\n{}", atom->tag[i],
                                       atom->type[i], update->ntimestep, reason,
                                       file.empty()
                                           ? "Its neighborhood could not be written to a file"
                                           : "Its neighborhood is in " + file));
}

}    // namespace mlip
