// Edges around the owned atoms in which every ghost is an atom of its own, at its own place: a periodic
// image is not the atom that it images. Only so are positions of atoms and energies, which the heat flux
// multiplies, single-valued. The graph is larger than that of all atoms, by the images that are in reach.

#ifndef MLIP_UNFOLDED_EDGE_LIST_H
#define MLIP_UNFOLDED_EDGE_LIST_H

#include "domain_edge_list.h"

namespace mlip {

class UnfoldedEdgeList : public DomainEdgeList {
 public:
  UnfoldedEdgeList(double cutoff, int n_layers) : DomainEdgeList(cutoff, n_layers, false) {}

 private:
  void find_nodes(const LAMMPS_NS::Atom &atom, const LAMMPS_NS::Domain &domain,
                  const std::vector<int64_t> &numbers) override;
};

}    // namespace mlip

#endif
