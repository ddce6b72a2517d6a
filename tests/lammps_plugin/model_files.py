"""Exact models in files, with baselines as large as real ones."""

from pathlib import Path

import torch
from torch import Tensor, nn

from mlip_engines.model.contract import ModelMetadata
from mlip_engines.model.export import export_model
from mlip_engines.model.graph import Graph
from mlip_train.potentials.analytic import LennardJones, PairNetwork, smooth_cutoff

SPECIES = ["H", "O"]
BASELINE = {"H": -13.5, "O": -27.0, "Ar": -13.5, "Ne": -3.0}  # eV
CUTOFF = 3.5  # Å; longer than half of every box in tests/structures.py but the long slab


class Tilted(LennardJones):
    """The energy of each edge also has a f(r) z^2/r^2: an error that depends on the orientation."""

    def __init__(self, cutoff: float, epsilon: float, sigma: float, tilt: float):
        super().__init__(cutoff, epsilon, sigma)
        self.tilt = float(tilt)

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)  # (E,)
        tilted = 2.0 * self.tilt * (graph.edge_vectors[:, 2] / distance) ** 2
        energy = 0.5 * (self.pair_energy(distance) + tilted) * smooth_cutoff(distance, self.cutoff)
        zero = torch.zeros(graph.atomic_numbers.size(0), dtype=energy.dtype, device=energy.device)
        output = {"atomic_energies": zero.index_add(0, graph.edge_index[0], energy)}
        if with_non_conservative:
            head = self.non_conservative(graph)
            output["non_conservative_forces"] = head["non_conservative_forces"]
        return output


class SquareRoot(PairNetwork):
    """E_i = -a sqrt(1 + sum_j f(r_ij)): the energy of an atom is no sum over pairs."""

    def __init__(self, cutoff: float, a: float):
        super().__init__(cutoff, 0.0, with_non_conservative_head=False)
        self.a = float(a)

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        factor = smooth_cutoff(
            torch.linalg.vector_norm(graph.edge_vectors, dim=1), self.cutoff
        )  # (E,)
        # atoms of odd number weigh more, so that neighbours are not alike
        weight = 1.0 + 2.0 * (graph.edge_index[1] % 2).to(factor.dtype)
        one = torch.ones(graph.atomic_numbers.size(0), dtype=factor.dtype, device=factor.device)
        density = one.index_add(0, graph.edge_index[0], weight * factor)  # (N,)
        return {"atomic_energies": -self.a * torch.sqrt(density)}


class WithStress(LennardJones):
    """A head for the stress: virials c f(r_e) r_e (x) r_e at the centres, whatever the energy is."""

    def __init__(self, cutoff: float, epsilon: float, sigma: float, c: float):
        super().__init__(cutoff, epsilon, sigma, curl=0.01)
        self.heads = [*self.heads, "non_conservative_stress"]
        self.c = float(c)

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)  # (E,)
        energy = 0.5 * self.pair_energy(distance) * smooth_cutoff(distance, self.cutoff)  # (E,)
        zero = torch.zeros(graph.atomic_numbers.size(0), dtype=energy.dtype, device=energy.device)
        output = {"atomic_energies": zero.index_add(0, graph.edge_index[0], energy)}
        if with_non_conservative:
            head = self.non_conservative(graph)
            output["non_conservative_forces"] = head["non_conservative_forces"]
            output["non_conservative_virials"] = head["non_conservative_virials"]
        return output

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)  # (E,)
        factor = smooth_cutoff(distance, self.cutoff)
        x = (distance / self.cutoff).clamp(max=1.0)
        slope = self.pair_energy_slope(distance) * factor
        slope = slope - self.pair_energy(distance) * 6.0 * x * (1.0 - x * x) ** 2 / self.cutoff
        terms = (slope / distance)[:, None] * graph.edge_vectors  # (E, 3)
        zero = torch.zeros(
            (graph.atomic_numbers.size(0), 3), dtype=terms.dtype, device=terms.device
        )
        virials = torch.zeros((zero.size(0), 3, 3), dtype=terms.dtype, device=terms.device)
        scaled = (self.c * factor)[:, None, None]
        outer = (
            scaled * graph.edge_vectors[:, :, None] * graph.edge_vectors[:, None, :]
        )  # (E, 3, 3)
        return {
            "non_conservative_forces": zero.index_add(0, graph.edge_index[0], terms),
            "non_conservative_virials": virials.index_add(0, graph.edge_index[0], outer),
        }


def export_network(
    network: nn.Module,
    path: Path,
    species: list[str] = SPECIES,
    dtype: str = "float64",
    scale: float = 50.0,
) -> Path:
    """Write a file of a random network, which is calm: scaled, so that all its layers show in every digit."""
    network = network.to(getattr(torch, dtype))
    metadata = ModelMetadata(
        name=type(network).__name__,
        species=species,
        cutoff=network.cutoff,
        message_passing_layers=network.message_passing_layers,
        heads=network.heads,
        dtype=dtype,
        interaction_range=network.cutoff * network.message_passing_layers,
    )
    baseline = {symbol: BASELINE[symbol] for symbol in species}
    export_model(network, metadata, path, reference_energies=baseline, scale=scale)
    return path


def export_pair(network: PairNetwork, path: Path, species: list[str] = SPECIES) -> Path:
    """Write a model file."""
    numbers = [value for value in network.state_dict().values() if value.is_floating_point()]
    dtype = str(numbers[0].dtype).removeprefix("torch.")
    metadata = ModelMetadata(
        name=type(network).__name__,
        species=species,
        cutoff=network.cutoff,
        message_passing_layers=1,
        heads=network.heads,
        dtype=dtype,
        interaction_range=network.cutoff,
    )
    baseline = {symbol: BASELINE[symbol] for symbol in species}
    export_model(network, metadata, path, reference_energies=baseline)
    return path
