// Work that may fail on one MPI process fails on all of them, with the same message.

#ifndef MLIP_TOGETHER_H
#define MLIP_TOGETHER_H

#include "agreement.h"

#include "error.h"

#include <exception>
#include <string>

namespace mlip {

/// Call `work()` on every process. An exception on any of them ends the simulation on all with its message.
/// Communication within the work begins with Agreement::go_on().
template <typename Work> void together(Agreement &processes, LAMMPS_NS::Error *error, Work &&work)
{
  std::string problem;
  try {
    work();
  } catch (const std::exception &e) {
    problem = e.what();
    if (problem.empty()) problem = "an error without a message";
  }
  problem = processes.outcome(problem);
  if (!problem.empty()) error->all(FLERR, "Pair style mlip: {}", problem);
}

}    // namespace mlip

#endif
