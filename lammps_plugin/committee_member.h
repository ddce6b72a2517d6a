/* -*- c++ -*- ----------------------------------------------------------
   One more model beside pair style mlip, which moves no atom: a member of a committee. It is a
   pair style only because LAMMPS communicates in the name of one.
------------------------------------------------------------------------- */

#ifndef MLIP_COMMITTEE_MEMBER_H
#define MLIP_COMMITTEE_MEMBER_H

#include "agreement.h"
#include "element_map.h"
#include "evaluator.h"
#include "model_file.h"
#include "output_vector.h"
#include "present_evaluation.h"
#include "settings.h"

#include "pair.h"

#include <string>

namespace LAMMPS_NS {

class CommitteeMember : public Pair {
 public:
  CommitteeMember(class LAMMPS *, std::string);

  /// Read the file, with settings and elements of the style that drives the simulation, if they are not those of the last
  /// time. Errors end the simulation.
  void prepare(const class PairMLIP &);
  double cutoff() const { return file.info().cutoff; }

  /// A run begins: ask LAMMPS for a neighbor list.
  void begin_run();
  mlip::PresentEvaluation conservative_here();

  int pack_forward_comm(int, int *, double *, int, int *) override;
  void unpack_forward_comm(int, int, double *) override;
  int pack_reverse_comm(int, int, double *) override;
  void unpack_reverse_comm(int, int *, double *) override;
  double memory_usage() override { return evaluator.memory_usage(); }

  // LAMMPS does not call these: it does not know this style
  void compute(int, int) override {}
  void settings(int, char **) override {}
  void coeff(int, char **) override {}

 private:
  const std::string name;    // of the file, as given
  std::string prepared_settings;
  std::vector<int64_t> prepared_elements;
  mlip::Agreement processes;
  mlip::Settings chosen;
  mlip::ModelFile file;
  mlip::ElementMap elements;
  mlip::OutputVector output;
  mlip::Evaluator evaluator;

  void require_structure_inputs();
};

}    // namespace LAMMPS_NS

#endif
