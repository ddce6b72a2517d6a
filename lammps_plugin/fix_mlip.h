/* -*- c++ -*- ----------------------------------------------------------
   Fix MLIP: what pair style mlip has to do outside the forces. It adds this fix itself.
   A neighbor list is built again before an edge can be missing, and a run in which the
   heads disagree too much is stopped between two steps.
------------------------------------------------------------------------- */

#ifndef LMP_FIX_MLIP_H
#define LMP_FIX_MLIP_H

#include "fix.h"

namespace LAMMPS_NS {

class FixMLIP : public Fix {
 public:
  FixMLIP(class LAMMPS *, int, char **);
  ~FixMLIP() override;

  int setmask() override;
  void setup(int) override;
  void end_of_step() override;

  class PairMLIP *pair = nullptr;
};

}    // namespace LAMMPS_NS

#endif
