/* -*- c++ -*- ----------------------------------------------------------
   Compute mlip/disagreement/atom: |C - NC| of each atom, the length of the difference
   between the conservative and the non-conservative force of pair style mlip.
------------------------------------------------------------------------- */

#ifndef LMP_COMPUTE_MLIP_DISAGREEMENT_ATOM_H
#define LMP_COMPUTE_MLIP_DISAGREEMENT_ATOM_H

#include "compute.h"

namespace LAMMPS_NS {

class ComputeMLIPDisagreementAtom : public Compute {
 public:
  ComputeMLIPDisagreementAtom(class LAMMPS *, int, char **);
  ~ComputeMLIPDisagreementAtom() override;

  void init() override;
  void compute_peratom() override;
  double memory_usage() override;

 private:
  class PairMLIP *pair = nullptr;
  int substyle = 0;    // 1, 2, ... among several sub-styles mlip of a hybrid style
  int nmax = 0;
};

}    // namespace LAMMPS_NS

#endif
