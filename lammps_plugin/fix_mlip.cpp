#include "fix_mlip.h"

#include "pair_mlip.h"

#include "update.h"

using namespace LAMMPS_NS;
using namespace FixConst;

/* ---------------------------------------------------------------------- */

FixMLIP::FixMLIP(LAMMPS *lmp, int narg, char **arg) : Fix(lmp, narg, arg)
{
  nevery = 1;
  force_reneighbor = 1;
  next_reneighbor = -1;    // the pair style sets it
}

/* ---------------------------------------------------------------------- */

FixMLIP::~FixMLIP()
{
  if (pair) pair->lose_guard();
  // somebody took it away, or the pair style. LAMMPS goes on to call it until a run is set up:
  // the next one has to be, even with 'run N pre no'
  if (update) update->first_update = 0;
}

/* ---------------------------------------------------------------------- */

int FixMLIP::setmask()
{
  return END_OF_STEP;
}

/* ---------------------------------------------------------------------- */

void FixMLIP::setup(int)
{
  if (pair) pair->stop_if_unsure();
}

/* ---------------------------------------------------------------------- */

void FixMLIP::end_of_step()
{
  if (pair) pair->stop_if_unsure();
}
