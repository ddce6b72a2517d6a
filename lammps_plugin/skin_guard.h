// Asks for a new neighbor list before an edge can be missing. LAMMPS decides about one before an outer
// step and does not know how far atoms move in it: with r-RESPA, its own criterion may come too late.

#ifndef MLIP_SKIN_GUARD_H
#define MLIP_SKIN_GUARD_H

#include "pointers.h"

#include <string>

namespace LAMMPS_NS {
class FixMLIP;
class PairMLIP;
}    // namespace LAMMPS_NS

namespace mlip {

class EdgeList;

class SkinGuard : protected LAMMPS_NS::Pointers {
 public:
  /// With a fix of this ID, through which LAMMPS is asked.
  SkinGuard(LAMMPS_NS::LAMMPS *lmp, std::string fix_id) : Pointers(lmp), fix_id_(fix_id) {}
  ~SkinGuard() override;
  SkinGuard(const SkinGuard &) = delete;
  SkinGuard &operator=(const SkinGuard &) = delete;

  /// Add the fix, if it is not there. It also tells the pair style when a step ends.
  void begin_run(LAMMPS_NS::PairMLIP &pair);

  /// Somebody removed the fix: the next run adds it again.
  void lose_fix() { fix_ = nullptr; }

  /// At the end of an (outer) step: ask for a list while the skin still covers two atoms that fly towards each other.
  void plan_rebuild(const EdgeList &edges);

 private:
  std::string fix_id_;
  LAMMPS_NS::FixMLIP *fix_ = nullptr;
  bool has_warned_ = false;
};

}    // namespace mlip

#endif
