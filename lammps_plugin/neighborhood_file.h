// A file with an atom and all atoms within the cutoff, for looking at what went wrong.

#ifndef MLIP_NEIGHBORHOOD_FILE_H
#define MLIP_NEIGHBORHOOD_FILE_H

#include <cstdint>
#include <string>
#include <vector>

namespace LAMMPS_NS {
class Atom;
}

namespace mlip {

class CurrentGraph;

/// Write the k-th atom of the graph and its neighbors in extended XYZ, with the `forces` (n_owned, 3) in eV/A on the
/// atoms of this process. Returns the name of the file, empty if it could not be written.
std::string write_neighborhood(const CurrentGraph &graph, int k, const std::vector<double> &forces,
                               const LAMMPS_NS::Atom &atom, int64_t step,
                               const std::string &model_name);

}    // namespace mlip

#endif
