#include "last_evaluation.h"

#include "atom.h"

#include <algorithm>

using namespace LAMMPS_NS;

namespace mlip {

static size_t n_coordinates(const Atom &atom)
{
  return 3 * static_cast<size_t>(atom.nlocal + atom.nghost);
}

/* ---------------------------------------------------------------------- */

Evaluation &LastEvaluation::start()
{
  forget();
  return values_;
}

/* ---------------------------------------------------------------------- */

void LastEvaluation::keep(const Atom &atom, bool with_non_conservative)
{
  const size_t n = n_coordinates(atom);
  positions_.clear();
  if (n) positions_.assign(&atom.x[0][0], &atom.x[0][0] + n);
  types_.assign(atom.type, atom.type + atom.nlocal);
  is_kept_ = true;
  has_non_conservative_ = with_non_conservative;
}

/* ---------------------------------------------------------------------- */

bool LastEvaluation::is_here(const Atom &atom, size_t n_atoms, bool with_non_conservative,
                             bool with_atomic_virials) const
{
  const size_t n = n_coordinates(atom), n_types = atom.nlocal;
  return is_kept_ && positions_.size() == n && types_.size() == n_types &&
         values_.forces.size() == 3 * n_atoms &&
         (has_non_conservative_ || !with_non_conservative) &&
         (!with_atomic_virials || values_.atomic_virials.size() == 9 * n_atoms) &&
         std::equal(types_.begin(), types_.end(), atom.type) &&
         (n == 0 || std::equal(positions_.begin(), positions_.end(), &atom.x[0][0]));
}

}    // namespace mlip
