"""A head for non-conservative forces along the edges, for networks whose features are invariant."""

import torch
from torch import Tensor, nn

from mlip_engines.operators import evaluated_atoms, exchange, neighbor_sum
from mlip_train.networks.neighborhood import first_edges
from mlip_train.networks.radial import BesselBasis


class PairForceHead(nn.Module):
    """Forces that turn with the structure and add up to zero, from invariant features of atoms.

    F_i = sum_j w_ij u_ij,   w_ij = w_ji = sum_c (a_c(s_i) b_c(s_j) + b_c(s_i) a_c(s_j)) R_c(r_ij)

    with the unit vector u_ij of the edge and R linear in a radial basis that ends smoothly at the cutoff. Both atoms of
    an edge feel opposite forces, since u_ij = -u_ji. The sum over edges of scalars times unit vectors is the direct
    force of GemNet (Gasteiger, Becker, Günnemann, NeurIPS 2021, arXiv:2106.08903, section 5), the form of w is chosen
    here: it is bilinear, so filters act on sums over neighbours and no tensor of size edges x features is made.
    """

    def __init__(self, n_features: int, n_basis: int, cutoff: float):
        super().__init__()
        self.n_features = n_features
        self.n_basis = n_basis
        self.basis = BesselBasis(n_basis, cutoff)
        self.scalars = nn.Sequential(
            nn.Linear(n_features, n_features), nn.SiLU(), nn.Linear(n_features, 2 * n_features)
        )  # a and b
        self.radial = nn.Parameter(n_basis**-0.5 * torch.randn(n_basis, n_features))  # R

    def forward(self, s: Tensor, edge_index: Tensor, edge_vectors: Tensor, n_atoms: int) -> Tensor:
        """Return forces (n, 3) from scalars s (n, F) and edges (2, E), (E, 3) among N atoms."""
        distance = torch.linalg.vector_norm(edge_vectors, dim=1)  # (E,)
        unit = edge_vectors / distance[:, None]  # (E, 3)
        # Under autocast the scalars come in fewer digits; sums over neighbours keep those of the edges.
        ab = self.scalars(s).to(unit.dtype)  # (n, 2 F)
        everywhere = exchange([ab], n_atoms)[0]  # (N, 2 F)
        directed = (unit[:, :, None] * self.basis(distance)[:, None, :]).flatten(1)  # (E, 3 K)
        first_edge = first_edges(edge_index[0], evaluated_atoms(n_atoms))  # (n + 1,)
        summed = neighbor_sum(directed, everywhere, first_edge, edge_index[1].contiguous())
        summed = summed.view(-1, 3, self.n_basis, 2, self.n_features)
        gathered = (summed * self.radial[:, None, :]).sum(dim=2)  # (n, 3, 2, F)
        own = ab.view(-1, 1, 2, self.n_features).flip(2)  # (n, 1, 2, F): b beside the sum of a
        return (gathered * own).flatten(2).sum(dim=2)  # (n, 3)
