#include "edge_list.h"

#include "atom.h"
#include "domain.h"
#include "neigh_list.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

using namespace LAMMPS_NS;

namespace mlip {

/* ---------------------------------------------------------------------- */

void EdgeList::choose_atoms(const NeighList &list, const Atom &atom,
                            const std::vector<int64_t> &numbers)
{
  std::vector<char> is_listed(atom.nlocal, 0);
  for (int ii = 0; ii < list.inum; ii++) is_listed[list.ilist[ii]] = 1;

  owned_.clear();
  index_.assign(atom.nlocal, -1);
  for (int i = 0; i < atom.nlocal; i++) {
    if (numbers[i] == 0) continue;
    if (!is_listed[i])
      throw std::runtime_error("LAMMPS lists no neighbors for atom " + std::to_string(atom.tag[i]) +
                               ", whose type has an element of the model. Remove 'neigh_modify "
                               "include', or give its type NULL in pair_coeff");
    index_[i] = static_cast<int>(owned_.size());
    owned_.push_back(i);
  }
}

/* ---------------------------------------------------------------------- */

void EdgeList::remember_positions(const Atom &atom)
{
  const size_t n_values = 3 * static_cast<size_t>(atom.nlocal + atom.nghost);
  if (n_values)
    built_at_.assign(&atom.x[0][0], &atom.x[0][0] + n_values);
  else
    built_at_.clear();
}

/* ---------------------------------------------------------------------- */

double EdgeList::moved_sq(const double *const *x, size_t i) const
{
  double rsq = 0.0;
  for (int k = 0; k < 3; k++) {
    const double d = x[i][k] - built_at_[3 * i + k];
    rsq += d * d;
  }
  return rsq;
}

/* ---------------------------------------------------------------------- */

std::optional<double> EdgeList::one_way_edge(const double *const *x, int origin, int image) const
{
  static constexpr double ROUNDING = 1.0e-9;
  double rsq = 0.0;
  for (int k = 0; k < 3; k++) {
    const double d = x[image][k] - x[origin][k];
    rsq += d * d;
  }
  const double distance = std::sqrt(rsq);
  if (distance < cutoff_ * (1.0 - ROUNDING)) return distance;
  return std::nullopt;
}

/* ---------------------------------------------------------------------- */

double EdgeList::memory_usage() const
{
  return static_cast<double>((owned_.capacity() + others_.capacity() + index_.capacity()) *
                                 sizeof(int) +
                             built_at_.capacity() * sizeof(double));
}

/* ---------------------------------------------------------------------- */

int64_t shift_between(const double *atom, const double *image, const Domain &domain)
{
  const double *h = domain.h_inv;
  const double d[3] = {image[0] - atom[0], image[1] - atom[1], image[2] - atom[2]};
  double a = h[0] * d[0], b = h[1] * d[1], c = h[2] * d[2];
  if (domain.triclinic) {
    a += h[5] * d[1] + h[4] * d[2];
    b += h[3] * d[2];
  }
  return pack_shift(std::llround(a), std::llround(b), std::llround(c));
}

/* ---------------------------------------------------------------------- */

OwnedAtoms::OwnedAtoms(const Atom &atom) : index_of_tag_(atom.nlocal)
{
  for (int i = 0; i < atom.nlocal; i++) index_of_tag_[i] = {atom.tag[i], i};
  std::sort(index_of_tag_.begin(), index_of_tag_.end());
  for (int i = 1; i < atom.nlocal; i++)
    if (index_of_tag_[i].first == index_of_tag_[i - 1].first)
      throw std::runtime_error("atom IDs must be unique, ID " +
                               std::to_string(index_of_tag_[i].first) +
                               " occurs twice. Use the reset_atoms id command");
}

/* ---------------------------------------------------------------------- */

int OwnedAtoms::find(tagint tag) const
{
  const auto found =
      std::lower_bound(index_of_tag_.begin(), index_of_tag_.end(), std::pair<tagint, int>(tag, -1));
  return found == index_of_tag_.end() || found->first != tag ? -1 : found->second;
}

}    // namespace mlip
