// Where in an outer step of r-RESPA the calls of LAMMPS are. An outer step of M inner steps has M
// inner calls and then one outer call. The last inner call is at the positions of the outer one, so it
// makes the full evaluation for both. No LAMMPS here.

#ifndef MLIP_RESPA_CYCLE_H
#define MLIP_RESPA_CYCLE_H

#include <algorithm>

namespace mlip {

class RespaCycle {
 public:
  /// A run is set up, with M inner steps in an outer one.
  void begin(int inner_steps)
  {
    inner_steps_ = inner_steps;
    calls_since_outer_ = 0;
  }

  /// An inner call. Returns whether an outer one follows at the same positions.
  bool count_inner()
  {
    outer_calls_since_inner_ = 0;
    return ++calls_since_outer_ >= inner_steps_;
  }

  /// An outer call. What was seen is right even where the integrator has more levels; in set-up, each level is
  /// called once, which tells nothing.
  void count_outer(bool is_setup)
  {
    outer_calls_since_inner_++;
    if (!is_setup) inner_steps_ = std::max(1, calls_since_outer_);
    calls_since_outer_ = 0;
  }

  /// Whether there was an outer call since the last inner one.
  bool has_outer_since_inner() const { return outer_calls_since_inner_ > 0; }

 private:
  int inner_steps_ = 1;
  int calls_since_outer_ = 0;    // inner ones
  int outer_calls_since_inner_ = 0;
};

}    // namespace mlip

#endif
