"""Direct forces of ORB as a network of the contract that has no energy."""

import torch
from torch import Tensor, nn

from mlip_engines.model.graph import Graph


class OrbNetwork(nn.Module):
    """Direct forces by a model of ORB, for :class:`~mlip_engines.model.inner_force.WithInnerForce`.

    Its network gives an atom without neighbours a force. Here forces fade out as the nearest neighbour of an atom moves
    through the last 1 Å of the cutoff.

    Parameters
    ----------
    core : nn.Module
        Atomic numbers (N,), edges (2, E) and their vectors (E, 3) to forces (N, 3), eV/Å.
    cutoff : float, Å
    layers : int
        One more than ORB's steps: each sums over the edges that leave an atom and over those that arrive.
    """

    heads: list[str]

    def __init__(self, core: nn.Module, cutoff: float, layers: int):
        super().__init__()
        self.core = core
        self.cutoff, self.message_passing_layers = float(cutoff), layers
        self.non_conservative_layers = layers
        self.heads = ["non_conservative_forces"]

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate forces (N, 3)."""
        return self.non_conservative(graph)

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate forces (N, 3)."""
        vectors = graph.edge_vectors
        n_atoms = graph.atomic_numbers.size(0)
        if n_atoms == 0 or vectors.size(0) == 0:
            return {"non_conservative_forces": vectors.new_zeros((n_atoms, 3))}
        forces = self.core(graph.atomic_numbers, graph.edge_index, vectors)
        distances = torch.linalg.vector_norm(vectors, dim=1)
        nearest = torch.full_like(forces[:, 0], self.cutoff)
        nearest = nearest.scatter_reduce(0, graph.edge_index[0], distances, "amin")
        x = torch.clamp(self.cutoff - nearest, 0.0, 1.0)  # (N,), over 1 Å
        fade = x * x * x * (10.0 + x * (6.0 * x - 15.0))
        return {"non_conservative_forces": fade[:, None] * forces}
