// Watches over positions, energies and forces: a run with values that are no numbers, or with forces
// that explode, stops and leaves the surroundings of the atom in a file.

#ifndef MLIP_WATCH_H
#define MLIP_WATCH_H

#include "pointers.h"

#include <string>
#include <vector>

namespace mlip {

class CurrentGraph;
class ElementMap;
class ModelFile;

/// Its functions throw std::runtime_error, to be called within together(), which ends all processes in order: an abort
/// would lose what LAMMPS has not written yet of log and dump files.
class Watch : protected LAMMPS_NS::Pointers {
 public:
  Watch(LAMMPS_NS::LAMMPS *lmp, const CurrentGraph &graph, const ModelFile &file) :
      Pointers(lmp), graph_(graph), file_(file)
  {
  }

  void check_positions(const ElementMap &elements) const;

  /// Energies (n_owned) in eV, and the forces that belong to them, for the file.
  void check_energies(const std::vector<double> &energies, const std::vector<double> &forces) const;

  /// Forces (n_owned, 3) in eV/A, of which `which` is the name in a message. In a dynamics run none may be larger than
  /// `largest`; a minimizer limits its steps and may start anywhere.
  void check_forces(const std::vector<double> &forces, const char *which, double largest) const;

 private:
  [[noreturn]] void stop_at_atom(int k, const std::vector<double> &forces,
                                 const std::string &reason) const;

  const CurrentGraph &graph_;
  const ModelFile &file_;
};

}    // namespace mlip

#endif
