"""An exact network whose energy depends on the charge and the spin of the structure as a whole; for tests."""

import torch
from torch import Tensor

from mlip_engines.model.graph import Graph, values_of_atoms
from mlip_train.potentials.analytic import LennardJones


class ChargedLennardJones(LennardJones):
    """E = (1 + a Q) E_LJ + sum_i b (m - 1), with the total charge Q and the spin multiplicity m.

    The non-conservative forces are those of the Lennard-Jones network times 1 + a Q. E_LJ is that of
    :class:`~mlip_train.potentials.analytic.LennardJones`, with its cutoff.

    Parameters
    ----------
    cutoff : float, Å
    charge_slope : float
        a, per elementary charge.
    spin_energy : float, eV
        b, of each atom.
    epsilon : float, eV
    sigma : float, Å
    curl : float, eV/Å^2
    """

    def __init__(
        self,
        cutoff: float,
        charge_slope: float = 0.3,
        spin_energy: float = 0.01,
        epsilon: float = 0.0104,
        sigma: float = 3.4,
        curl: float = 0.0,
    ):
        super().__init__(cutoff, epsilon, sigma, curl)
        self.charge_slope = float(charge_slope)
        self.spin_energy = float(spin_energy)
        self.structure_inputs = ["total_charge", "spin_multiplicity"]

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate the energy of each atom and, if asked, the head."""
        distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)  # (E,)
        energy = self.cut_pair_energy(distance)  # (E,)
        zero = torch.zeros(graph.owned.size(0), dtype=energy.dtype, device=energy.device)  # (N,)
        pairs = zero.index_add(0, graph.edge_index[0], 0.5 * energy)  # (N,)
        spin = graph.spin_multiplicity
        assert spin is not None  # a network is given what it declares
        atomic_energies = self._factor(graph) * pairs
        atomic_energies = atomic_energies + self.spin_energy * (values_of_atoms(graph, spin) - 1.0)
        output = {"atomic_energies": atomic_energies}
        if with_non_conservative:
            output["non_conservative_forces"] = self.non_conservative(graph)[
                "non_conservative_forces"
            ]
        return output

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate the head."""
        forces = self.pair_head(graph)  # (N, 3)
        return {"non_conservative_forces": self._factor(graph)[:, None] * forces}

    def _factor(self, graph: Graph) -> Tensor:
        charge = graph.total_charge
        assert charge is not None  # a network is given what it declares
        return 1.0 + self.charge_slope * values_of_atoms(graph, charge)  # (N,)
