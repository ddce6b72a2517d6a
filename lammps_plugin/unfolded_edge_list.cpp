#include "unfolded_edge_list.h"

#include "atom.h"

#include <algorithm>

using namespace LAMMPS_NS;

namespace mlip {

/* ---------------------------------------------------------------------- */

void UnfoldedEdgeList::find_nodes(const Atom &atom, const Domain &,
                                  const std::vector<int64_t> &numbers)
{
  const int n_owned = atom.nlocal;
  const int n_all = n_owned + atom.nghost;
  node_.assign(n_all, -1);
  shift_.assign(n_all, 0);
  image_of_ = owned_;
  std::copy(index_.begin(), index_.end(), node_.begin());
  for (int g = n_owned; g < n_all; g++) {
    if (numbers[g] == 0) continue;
    node_[g] = static_cast<int>(image_of_.size());
    image_of_.push_back(g);
  }
}

}    // namespace mlip
