"""A head for non-conservative stress that turns with the structure, for networks with invariant features."""

import torch
from torch import Tensor, nn

from mlip_engines.operators import exchange
from mlip_train.networks.radial import BesselBasis


class EquivariantVirialHead(nn.Module):
    """Atomic virials from the edges: symmetric by construction, even under inversion, zero without edges.

    W_i = sum_j w_ij u_ij (x) u_ij,   w_ij = sum_c a_c(s_i) b_c(s_j) R_c(r_ij)

    with the unit vector u_ij of the edge and R linear in the radial basis. Vector features of an atom would not do: at
    a centre of inversion, as in a face-centred cubic crystal under any strain, they vanish, and the stress does not.
    """

    def __init__(self, n_features: int, n_basis: int, cutoff: float):
        super().__init__()
        self.basis = BesselBasis(n_basis, cutoff)
        self.centre = self._scalars(n_features)  # a
        self.neighbor = self._scalars(n_features)  # b
        self.radial = nn.Linear(n_basis, n_features, bias=False)  # R

    @staticmethod
    def _scalars(n_features: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(n_features, n_features), nn.SiLU(), nn.Linear(n_features, n_features)
        )

    def forward(self, s: Tensor, edge_index: Tensor, edge_vectors: Tensor, n_atoms: int) -> Tensor:
        """Return atomic virials (n, 3, 3) from scalars s (n, F) and edges (2, E), (E, 3) among N atoms."""
        distance = torch.linalg.vector_norm(edge_vectors, dim=1)  # (E,)
        unit = edge_vectors / distance[:, None]  # (E, 3)
        channels = self.radial(self.basis(distance))  # (E, F)
        neighbors = exchange([self.neighbor(s)], n_atoms)[0]  # (N, F)
        channels = channels * neighbors.index_select(0, edge_index[1])
        weight = (channels * self.centre(s).index_select(0, edge_index[0])).sum(dim=1)  # (E,)
        edges = weight[:, None, None] * unit[:, :, None] * unit[:, None, :]  # (E, 3, 3)
        zero = torch.zeros((s.size(0), 3, 3), dtype=edges.dtype, device=edges.device)
        return zero.index_add(0, edge_index[0], edges)  # (n, 3, 3)
