#include "fix_mlip.h"

#include "pair_mlip.h"

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
