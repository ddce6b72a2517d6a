#include "tally.h"

#include "agreement.h"
#include "model.h"

#include "atom.h"
#include "error.h"
#include "pair.h"
#include "update.h"
#include "utils.h"

using namespace LAMMPS_NS;

namespace mlip {

// LAMMPS order: xx, yy, zz, xy, xz, yz, and for centroids also yx, zx, zy
static constexpr int ROW[9] = {0, 1, 2, 0, 0, 1, 1, 2, 2};
static constexpr int COLUMN[9] = {0, 1, 2, 1, 2, 2, 0, 0, 1};

/* ---------------------------------------------------------------------- */

void Tally::set_units()
{
  const std::string units = update->unit_style;
  if (units == "metal")
    from_ev_ = 1.0;
  else if (units == "real")
    from_ev_ = utils::get_conversion_factor(utils::ENERGY, utils::METAL2REAL);
  else
    error->all(FLERR, "Pair style mlip needs 'units metal' or 'units real', got 'units {}'", units);
}

/* ---------------------------------------------------------------------- */

void Tally::add_forces(const std::vector<int> &owned, const std::vector<double> &forces,
                       double factor) const
{
  const double scale = factor * from_ev_;
  const double *next = forces.data();
  double **f = atom->f;
  for (const int i : owned)
    for (int k = 0; k < 3; k++) f[i][k] += scale * *next++;
}

/* ---------------------------------------------------------------------- */

void Tally::add_virial(Pair &to, const double (*virial)[3], double factor) const
{
  const double scale = factor * from_ev_;
  for (int k = 0; k < 6; k++)
    to.virial[k] += 0.5 * scale * (virial[ROW[k]][COLUMN[k]] + virial[COLUMN[k]][ROW[k]]);
}

/* ---------------------------------------------------------------------- */

void Tally::add_energy_and_virial(Pair &to, const std::vector<int> &owned, const Evaluation &full,
                                  double factor, const Agreement &processes,
                                  const std::string &file) const
{
  const double scale = factor * from_ev_;
  if (to.eflag_global) to.eng_vdwl += scale * full.energy;
  if (to.vflag_global) add_virial(to, full.virial, factor);
  if (to.cvflag_atom && processes.any(full.centroid_virials.size() != 9 * owned.size()))
    error->all(FLERR,
               "Pair style mlip: the model file {} gives no centroid virials. Export the model "
               "again with mlip-export",
               file);
  for (size_t k = 0; k < owned.size(); k++) {
    const int i = owned[k];
    if (to.eflag_atom) to.eatom[i] += scale * full.atomic_energies[k];
    if (to.vflag_atom) {
      const double *w = &full.atomic_virials[9 * k];
      for (int c = 0; c < 6; c++)
        to.vatom[i][c] += 0.5 * scale * (w[3 * ROW[c] + COLUMN[c]] + w[3 * COLUMN[c] + ROW[c]]);
    }
    if (to.cvflag_atom) {
      const double *w = &full.centroid_virials[9 * k];
      for (int c = 0; c < 9; c++) to.cvatom[i][c] += scale * w[3 * ROW[c] + COLUMN[c]];
    }
  }
}

}    // namespace mlip
