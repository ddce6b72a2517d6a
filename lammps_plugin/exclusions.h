// Which atoms 'neigh_modify exclude' takes away from the model, and whether what it leaves has an energy.
//
// An atom that is excluded from everything is absent: it has no energy, no edges and no force. Fix gcmc
// and fix widom do this to an atom that they try to delete. The other atoms may fall into classes that
// do not see each other, each of which is whole. Anything else would give an atom only some of its
// neighbors, and the energy of an atom with some of its neighbors is not that of the model.

#ifndef MLIP_EXCLUSIONS_H
#define MLIP_EXCLUSIONS_H

#include "pointers.h"

#include <cstdint>
#include <vector>

namespace mlip {

class Exclusions : protected LAMMPS_NS::Pointers {
 public:
  explicit Exclusions(LAMMPS_NS::LAMMPS *lmp) : Pointers(lmp) {}

  /// LAMMPS has built a neighbor list: set those of `numbers` (n_owned + n_ghost), the atomic numbers of all atoms, to 0
  /// that belong to absent atoms. Throws std::runtime_error if others lack some of their neighbors.
  void apply(std::vector<int64_t> &numbers) const;

 private:
  /// All that exclusions depend on, but for the molecule.
  struct Kind {
    int type, groups;
    bool operator<(const Kind &other) const
    {
      return type != other.type ? type < other.type : groups < other.groups;
    }
  };

  bool is_absent(const Kind &kind) const;
  bool see_each_other(const Kind &a, const Kind &b) const;
  bool are_classes_whole(const std::vector<Kind> &kinds) const;
  bool are_molecules_whole(const std::vector<Kind> &kinds) const;
};

}    // namespace mlip

#endif
