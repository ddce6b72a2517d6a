#include "compute_mlip_disagreement_atom.h"

#include "pair_mlip.h"

#include "atom.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "update.h"
#include "utils.h"

using namespace LAMMPS_NS;

/* ----------------------------------------------------------------------
   compute ID group mlip/disagreement/atom [N]
------------------------------------------------------------------------- */

ComputeMLIPDisagreementAtom::ComputeMLIPDisagreementAtom(LAMMPS *lmp, int narg, char **arg) :
    Compute(lmp, narg, arg)
{
  if (narg > 4)
    error->all(FLERR,
               "Compute mlip/disagreement/atom takes the number of a sub-style mlip or nothing, "
               "got {} arguments",
               narg - 3);
  if (narg == 4) substyle = utils::inumeric(FLERR, arg[3], false, lmp);
  peratom_flag = 1;
  size_peratom_cols = 0;
}

/* ---------------------------------------------------------------------- */

ComputeMLIPDisagreementAtom::~ComputeMLIPDisagreementAtom()
{
  memory->destroy(vector_atom);
}

/* ---------------------------------------------------------------------- */

void ComputeMLIPDisagreementAtom::init()
{
  // without a number: the only sub-style, or the first of several
  Pair *found = force->pair_match("mlip", 1, substyle);
  if (!found && substyle == 0) found = force->pair_match("mlip", 1, 1);
  pair = dynamic_cast<PairMLIP *>(found);
  if (!pair)
    error->all(FLERR, "Compute mlip/disagreement/atom needs pair style mlip, found none{}",
               substyle ? " with the number " + std::to_string(substyle) : "");
}

/* ---------------------------------------------------------------------- */

void ComputeMLIPDisagreementAtom::compute_peratom()
{
  invoked_peratom = update->ntimestep;
  if (atom->nmax > nmax) {
    memory->destroy(vector_atom);
    nmax = atom->nmax;
    memory->create(vector_atom, nmax, "mlip/disagreement/atom:vector_atom");
  }
  pair->atomic_disagreement(vector_atom);
  for (int i = 0; i < atom->nlocal; i++)
    if (!(atom->mask[i] & groupbit)) vector_atom[i] = 0.0;
}

/* ---------------------------------------------------------------------- */

double ComputeMLIPDisagreementAtom::memory_usage()
{
  return static_cast<double>(nmax) * sizeof(double);
}
