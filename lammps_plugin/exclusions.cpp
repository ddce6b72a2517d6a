#include "exclusions.h"

#include "atom.h"
#include "neighbor.h"

#include <algorithm>
#include <set>
#include <stdexcept>

using namespace LAMMPS_NS;

namespace mlip {

static constexpr int EVERY_ATOM = 1;    // bit of the group all

/* ---------------------------------------------------------------------- */

void Exclusions::apply(std::vector<int64_t> &numbers) const
{
  if (neighbor->nex_type + neighbor->nex_group + neighbor->nex_mol == 0) return;

  int relevant = 0;
  for (int m = 0; m < neighbor->nex_group; m++)
    relevant |= neighbor->ex1_bit[m] | neighbor->ex2_bit[m];
  for (int m = 0; m < neighbor->nex_mol; m++) relevant |= neighbor->ex_mol_bit[m];

  std::set<Kind> present;
  for (size_t i = 0; i < numbers.size(); i++) {
    if (numbers[i] == 0) continue;
    const Kind kind = {atom->type[i], atom->mask[i] & relevant};
    if (is_absent(kind))
      numbers[i] = 0;
    else
      present.insert(kind);
  }
  const std::vector<Kind> kinds(present.begin(), present.end());
  if (!are_classes_whole(kinds) || !are_molecules_whole(kinds))
    throw std::runtime_error(
        "the model needs all neighbors of an atom, but 'neigh_modify exclude' hides some of them. "
        "What it can exclude: a group from all ('exclude group ID all'), which leaves these atoms "
        "out, or groups from each other of which every atom is in one. To hold atoms in place, "
        "remove the exclusion and leave them out of the fix that moves atoms, or use fix setforce");
}

/* ---------------------------------------------------------------------- */

bool Exclusions::is_absent(const Kind &kind) const
{
  for (int m = 0; m < neighbor->nex_group; m++) {
    const int first = neighbor->ex1_bit[m], second = neighbor->ex2_bit[m];
    if ((second == EVERY_ATOM && kind.groups & first) ||
        (first == EVERY_ATOM && kind.groups & second))
      return true;
  }
  if (neighbor->nex_type == 0) return false;
  for (int type = 1; type <= atom->ntypes; type++)
    if (!neighbor->ex_type[kind.type][type]) return false;
  return true;
}

/* ---------------------------------------------------------------------- */

bool Exclusions::see_each_other(const Kind &a, const Kind &b) const
{
  if (neighbor->nex_type && neighbor->ex_type[a.type][b.type]) return false;
  for (int m = 0; m < neighbor->nex_group; m++) {
    const int first = neighbor->ex1_bit[m], second = neighbor->ex2_bit[m];
    if ((a.groups & first && b.groups & second) || (a.groups & second && b.groups & first))
      return false;
  }
  return true;
}

/* ----------------------------------------------------------------------
   to see each other has to be an equivalence: atoms of one kind do, and whom I see sees whom I do
------------------------------------------------------------------------- */

bool Exclusions::are_classes_whole(const std::vector<Kind> &kinds) const
{
  for (const auto &a : kinds) {
    if (!see_each_other(a, a)) return false;
    for (const auto &b : kinds)
      if (see_each_other(a, b))
        for (const auto &c : kinds)
          if (see_each_other(b, c) && !see_each_other(a, c)) return false;
  }
  return true;
}

/* ----------------------------------------------------------------------
   molecules may be hidden from each other, if all atoms are in such ones
------------------------------------------------------------------------- */

bool Exclusions::are_molecules_whole(const std::vector<Kind> &kinds) const
{
  for (int m = 0; m < neighbor->nex_mol; m++) {
    const int bit = neighbor->ex_mol_bit[m];
    const auto is_member = [bit](const Kind &kind) { return (kind.groups & bit) != 0; };
    const bool has_members = std::any_of(kinds.begin(), kinds.end(), is_member);
    if (neighbor->ex_mol_intra[m] && has_members) return false;
    if (has_members && !std::all_of(kinds.begin(), kinds.end(), is_member)) return false;
  }
  return true;
}

}    // namespace mlip
