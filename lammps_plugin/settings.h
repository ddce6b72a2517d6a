// What the keywords of pair_style mlip say. No LAMMPS and no libtorch here.

#ifndef MLIP_SETTINGS_H
#define MLIP_SETTINGS_H

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace mlip {

enum class Forces {
  CONSERVATIVE,
  NON_CONSERVATIVE,
  CORRECTION    // conservative minus non-conservative, beside a sub-style with the latter
};

enum class OnDisagreement { IGNORE, WARN, STOP };

/// Who evaluates what belongs to other processes: everyone for itself, or its owner alone.
enum class Parallel { AUTO, HALO, EXCHANGE };

struct Settings {
  Forces forces = Forces::CONSERVATIVE;
  bool non_conservative_stress = false;
  std::string device = "auto";
  Parallel parallel = Parallel::AUTO;
  bool rotate = false;
  uint64_t seed = 4711;
  bool check_masses = true;
  double max_force = 1000.0;    // eV/A, on an atom of a running simulation
  OnDisagreement on_disagreement = OnDisagreement::IGNORE;
  double max_disagreement = 0.0;    // eV/A; 0 takes that of the model file
  // total charge (elementary charges) and spin multiplicity, as far as they are given
  std::map<std::string, double> structure_inputs;
  std::string text;    // the words as given, one a line, for restart files
};

/// Read keywords and values. Throws std::invalid_argument with a message for the user.
Settings parse_settings(const std::vector<std::string> &words);

}    // namespace mlip

#endif
