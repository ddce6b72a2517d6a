/* -*- c++ -*- ----------------------------------------------------------
   Compute mlip/deviation: how far the forces, the virial and the energy of several models, that of
   pair style mlip among them, deviate from their mean (query by committee).
------------------------------------------------------------------------- */

#ifndef LMP_COMPUTE_MLIP_DEVIATION_H
#define LMP_COMPUTE_MLIP_DEVIATION_H

#include "compute.h"

#include <memory>
#include <vector>

namespace LAMMPS_NS {

class CommitteeMember;
class PairMLIP;

class ComputeMLIPDeviation : public Compute {
 public:
  ComputeMLIPDeviation(class LAMMPS *, int, char **);
  ~ComputeMLIPDeviation() override;

  void init() override;
  double compute_scalar() override;
  void compute_vector() override;
  void compute_peratom() override;
  double memory_usage() override;

  /// Open the models. Returns their longest cutoff: the neighbor list of the simulation has to reach that far.
  double prepare();

 private:
  enum Entry { MAX_F, MIN_F, MEAN_F, MAX_V, MIN_V, MEAN_V, ENERGY, N_ENTRIES };

  std::vector<std::unique_ptr<CommitteeMember>> members;    // all but the driving one
  PairMLIP *pair = nullptr;                                 // the driving one
  int substyle = 0;                  // 1, 2, ... among several sub-styles mlip of a hybrid style
  std::vector<double> deviations;    // (n_owned) of the forces on atoms
  double values[N_ENTRIES] = {};
  int nmax = 0;

  void find_pair();
  void evaluate();
  void summarize(const std::vector<char> &);
};

}    // namespace LAMMPS_NS

#endif
