#include "skin_guard.h"

#include "edge_list.h"
#include "fix_mlip.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "modify.h"
#include "neighbor.h"
#include "update.h"

#include <algorithm>
#include <cmath>

using namespace LAMMPS_NS;

namespace mlip {

// atoms may become this much faster within an outer step without outrunning the skin
static constexpr double SPEED_MARGIN = 1.5;

/* ---------------------------------------------------------------------- */

SkinGuard::~SkinGuard()
{
  if (!fix_) return;
  fix_->pair = nullptr;
  modify->delete_fix(fix_id_);
}

/* ---------------------------------------------------------------------- */

void SkinGuard::begin_run(PairMLIP &pair)
{
  has_warned_ = false;
  Fix *fix = modify->get_fix_by_id(fix_id_);
  if (!fix) fix = modify->add_fix(fix_id_ + " all MLIP");
  fix_ = dynamic_cast<FixMLIP *>(fix);
  if (!fix_) error->all(FLERR, "Pair style mlip needs the fix ID {} for itself", fix_id_);
  fix_->pair = &pair;
  fix_->next_reneighbor = -1;
}

/* ---------------------------------------------------------------------- */

void SkinGuard::plan_rebuild(const EdgeList &edges)
{
  if (update->whichflag != 1 || !fix_) return;
  double speed_sq = 0.0;
  for (const int i : edges.owned()) {
    const double *v = atom->v[i];
    speed_sq = std::max(speed_sq, v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
  }
  const double mine[2] = {edges.largest_approach(atom->x), std::sqrt(speed_sq)};
  double largest[2];
  MPI_Allreduce(mine, largest, 2, MPI_DOUBLE, MPI_MAX, world);
  const double travel = SPEED_MARGIN * 2.0 * largest[1] * update->dt;
  if (largest[0] + travel > neighbor->skin) fix_->next_reneighbor = update->ntimestep + 1;
  if (travel > neighbor->skin && !has_warned_ && comm->me == 0) {
    has_warned_ = true;
    error->warning(
        FLERR,
        "Pair style mlip: the fastest two atoms can come closer by {:.3g} Angstrom in "
        "one (outer) time step of {:.3g}, more than the skin of {:.3g}, and the run "
        "will stop if they do. Use a larger skin (neighbor command) or fewer inner steps",
        travel, update->dt, neighbor->skin);
  }
}

}    // namespace mlip
