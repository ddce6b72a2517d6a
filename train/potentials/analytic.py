"""Exact networks for tests: their energy, forces and C - NC are known in closed form."""

import torch
from torch import Tensor, nn

from mlip_engines.model.graph import Graph


def smooth_cutoff(distance: Tensor, cutoff: float) -> Tensor:
    """Polynomial (1 - x^2)^3 of x = r/cutoff: 1 at 0, zero with two derivatives at the cutoff."""
    x = (distance / cutoff).clamp(max=1.0)
    return (1.0 - x * x) ** 3


class PairNetwork(nn.Module):
    """E = 1/2 sum_e u(r_e) with a smooth cutoff, and a non-conservative head with a known error.

    The head returns the exact forces of the pair energy plus, with ``curl`` = c, for each edge
    from i to j the term c f(r) (z x r_e), f the smooth cutoff: a force that circulates around the
    z axis and is the gradient of nothing. It is odd in r_e: pairs cancel, the net force is zero.

    Subclasses give ``pair_energy`` and its derivative with respect to the distance, both without the cutoff factor.
    """

    def __init__(self, cutoff: float, curl: float, with_non_conservative_head: bool):
        super().__init__()
        self.cutoff = float(cutoff)
        self.curl = float(curl)
        self.message_passing_layers = 1
        self.heads = ["energy"] + ["non_conservative_forces"] * with_non_conservative_head
        self.register_buffer("axis", torch.tensor([0.0, 0.0, 1.0]))

    def pair_energy(self, distance: Tensor) -> Tensor:
        """Energy of one pair, eV."""
        return torch.zeros_like(distance)

    def pair_energy_slope(self, distance: Tensor) -> Tensor:
        """Derivative of the energy of one pair, eV/Å."""
        return torch.zeros_like(distance)

    def cut_pair_energy(self, distance: Tensor) -> Tensor:
        """Energy of one pair with its cutoff, eV."""
        return self.pair_energy(distance) * smooth_cutoff(distance, self.cutoff)

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate the energy of each atom and, if asked, the head."""
        distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)  # (E,)
        energy = 0.5 * self.cut_pair_energy(distance)  # (E,)
        atomic_energies = torch.zeros(
            graph.owned.size(0), dtype=energy.dtype, device=energy.device
        ).index_add(0, graph.edge_index[0], energy)
        output = {"atomic_energies": atomic_energies}
        if with_non_conservative:
            head = self.non_conservative(graph)
            output["non_conservative_forces"] = head["non_conservative_forces"]
        return output

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate the head only."""
        return {"non_conservative_forces": self.pair_head(graph)}

    def pair_head(self, graph: Graph) -> Tensor:
        """Forces (N, 3) of the head, eV/Å: F_i = sum_e [(u f)' r_e / r + c f (z x r_e)]."""
        distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)  # (E,)
        x = (distance / self.cutoff).clamp(max=1.0)
        factor = smooth_cutoff(distance, self.cutoff)
        factor_slope = -6.0 * x * (1.0 - x * x) ** 2 / self.cutoff
        slope = (
            self.pair_energy_slope(distance) * factor + self.pair_energy(distance) * factor_slope
        )  # (E,)
        swirl = torch.cross(
            self.axis.expand_as(graph.edge_vectors), graph.edge_vectors, dim=1
        )  # (E, 3)
        terms = (slope / distance)[:, None] * graph.edge_vectors
        terms = terms + (self.curl * factor)[:, None] * swirl  # (E, 3)
        return torch.zeros(
            (graph.owned.size(0), 3), dtype=terms.dtype, device=terms.device
        ).index_add(0, graph.edge_index[0], terms)


class HarmonicPair(PairNetwork):
    """u(r) = 1/2 k (r - r0)^2."""

    def __init__(
        self,
        cutoff: float,
        k: float = 1.0,
        r0: float = 1.0,
        curl: float = 0.0,
        with_non_conservative_head: bool = True,
    ):
        super().__init__(cutoff, curl, with_non_conservative_head)
        self.k = float(k)
        self.r0 = float(r0)

    def pair_energy(self, distance: Tensor) -> Tensor:
        """Energy of one pair, eV."""
        return 0.5 * self.k * (distance - self.r0) ** 2

    def pair_energy_slope(self, distance: Tensor) -> Tensor:
        """Derivative of the energy of one pair, eV/Å."""
        return self.k * (distance - self.r0)


class LennardJones(PairNetwork):
    """u(r) = 4 epsilon [(sigma/r)^12 - (sigma/r)^6]."""

    def __init__(
        self,
        cutoff: float,
        epsilon: float = 0.0104,
        sigma: float = 3.4,
        curl: float = 0.0,
        with_non_conservative_head: bool = True,
    ):
        super().__init__(cutoff, curl, with_non_conservative_head)
        self.epsilon = float(epsilon)
        self.sigma = float(sigma)

    def pair_energy(self, distance: Tensor) -> Tensor:
        """Energy of one pair, eV."""
        sixth = (self.sigma / distance) ** 6
        return 4.0 * self.epsilon * (sixth * sixth - sixth)

    def pair_energy_slope(self, distance: Tensor) -> Tensor:
        """Derivative of the energy of one pair, eV/Å."""
        sixth = (self.sigma / distance) ** 6
        return -24.0 * self.epsilon * (2.0 * sixth * sixth - sixth) / distance
