"""What keeps atoms apart: beyond its training data a network's answer is a guess, and nuclei repel.

For a pair of elements s is the distance at which the repulsion begins, a little below the shortest of the training data
(:func:`mlip_engines.labels.shortest.with_margin`). With the middle m = 0.8 s and the bound b = 0.5 s:

- A repulsion u(r) is added for each pair below s (:mod:`mlip_engines.model.repulsion`). It is as strong as that of two
  bare nuclei at m, but no stiffer than a simulation can follow with its usual time step, and nothing else from b down.
- An atom that has another one nearer than m loses sight of its neighbours: all edges from it lengthen towards the
  cutoff, where the network's cutoff function has faded them out. With one pair at b, or several between b and m, the
  network sees an isolated atom there. So it is never asked about a crowd that its data do not have, however dense.
  What is repulsive in the network's energy is lost with the sight. The repulsion has to be there before, or close pairs
  are caught between b and s.

Crowds without such a pair are left to :mod:`mlip_engines.model.data_range`, whose floor and limit act on what the
network gives before the repulsion is added.

Both are twice continuously differentiable, and nothing changes where no pair is closer than s. The repulsion is part of
the energy, of the conservative forces and of the non-conservative ones, so r-RESPA has it in its inner loop. What an
atom sees depends on its own edges only, so a domain decomposition has to look no farther than without.
"""

import torch
from ase.data import atomic_numbers as number_of
from ase.data import chemical_symbols
from torch import Tensor, nn

from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.data_range import (
    DataRange,
    above_floor,
    floor_tables,
    limit_table,
    shortening,
)
from mlip_engines.model.exported import dtype_of
from mlip_engines.model.graph import Graph, with_edges
from mlip_engines.model.repulsion import BOUND, MIDDLE, repulsion
from mlip_engines.units import COULOMB_EV_ANGSTROM


class WithShortRange(nn.Module):
    """A network that is never asked about atoms much nearer than in its data, and a nuclear repulsion there.

    Follows :mod:`mlip_engines.model.contract`, as the network in it does.

    Parameters
    ----------
    network : AtomicNetwork
    shortest : dict of str to float, Å
        The distance s of each pair of elements, such as ``{"H-O": 0.76}``; symbols in alphabetical order. A pair that
        is not there is left as it is.
    scale : float
        Factor of the model file on what a network returns: the repulsion is in eV after it.
    data_range : DataRange, optional
        What the network has given for its training data; without, its answers have neither floor nor limit.

    Raises
    ------
    ModelContractError
        If a name is no pair of elements, a distance is not between 0 and the cutoff, or a range cannot be meant.
    """

    heads: list[str]
    structure_inputs: list[str]
    short_range: dict[str, float]
    energy_range: dict[str, list[float]]
    largest_forces: dict[str, float]

    def __init__(
        self,
        network: nn.Module,
        shortest: dict[str, float],
        scale: float = 1.0,
        data_range: DataRange | None = None,
    ):
        super().__init__()
        data_range = data_range or DataRange()
        data_range.check()
        self.network = network
        self.scale, self.coulomb = float(scale), COULOMB_EV_ANGSTROM
        self.middle, self.bound = MIDDLE, BOUND
        self.short_range = {name: float(value) for name, value in shortest.items()}
        self.cutoff = float(network.cutoff)
        # Not at the cutoff itself: there an edge is dropped, and with it the one the other way, which is still seen.
        self.out_of_sight = 0.99 * self.cutoff
        self.message_passing_layers = int(network.message_passing_layers)
        self.non_conservative_layers = int(getattr(network, "non_conservative_layers", 0))
        self.feature_exchange = bool(getattr(network, "feature_exchange", False))
        self.edge_exchange = bool(getattr(network, "edge_exchange", False))
        self.structure_inputs = list(getattr(network, "structure_inputs", []))
        self.heads = list(network.heads)
        self.has_non_conservative = "non_conservative_forces" in self.heads
        self.has_non_conservative_stress = "non_conservative_stress" in self.heads
        table = torch.zeros(119, 119, dtype=torch.float64)
        for name, distance in self.short_range.items():
            first, second = numbers_of_pair(name)
            if not 0.0 < distance < self.cutoff:
                raise ModelContractError(
                    f"expected the shortest distance of {name} between 0 and the cutoff of {self.cutoff} Å, got "
                    f"{distance} Å"
                )
            table[first, second] = table[second, first] = distance
        self.register_buffer("shortest", table.to(dtype_of(network)))
        self.longest = float(table.max())
        self.energy_range, self.largest_forces = data_range.energies, data_range.forces
        self.has_floor, self.has_limit = len(self.energy_range) > 0, len(self.largest_forces) > 0
        lowest, width, hill = floor_tables(data_range.energies)
        self.register_buffer("lowest", lowest)
        self.register_buffer("width", width)
        self.register_buffer("hill", hill)
        longest = limit_table(data_range.forces)
        self.register_buffer("longest_force", longest)
        # a component, in what the network returns, below which no force is too long for any element
        self.surely_short = float(longest.min()) / abs(self.scale) / 3**0.5

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate the energy and, if asked, the non-conservative heads."""
        close = self._close_edges(graph)
        output = self.network(self._seen(graph, close), with_non_conservative)
        self._keep_above_floor(output, graph.atomic_numbers)
        if with_non_conservative and self.has_non_conservative:
            self._keep_below_limit(output, graph.atomic_numbers)
        if close.size(0) > 0:
            energies, slopes = self._repulsion(graph, close)
            atomic = output["atomic_energies"]
            added = 0.5 * energies / self.scale  # half for each of the two atoms
            centre = graph.edge_index[0].index_select(0, close)
            output["atomic_energies"] = atomic.index_add(0, centre, added.to(atomic.dtype))
            if with_non_conservative and self.has_non_conservative:
                self._add_forces(output, graph, close, slopes.detach())
        return output

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate the non-conservative heads only."""
        close = self._close_edges(graph)
        output = self.network.non_conservative(self._seen(graph, close))
        self._keep_below_limit(output, graph.atomic_numbers)
        if close.size(0) > 0:
            _, slopes = self._repulsion(graph, close)
            self._add_forces(output, graph, close, slopes)
        return output

    def _keep_above_floor(self, output: dict[str, Tensor], numbers: Tensor) -> None:
        """Turn energies round that are lower than any in the data."""
        if not self.has_floor:
            return
        atomic = output["atomic_energies"]
        energies = self.scale * atomic.to(torch.float64)  # (N,)
        lowest = self.lowest.index_select(0, numbers)  # (N,)
        if bool((energies < lowest).any()):
            width, hill = (
                self.width.index_select(0, numbers),
                self.hill.index_select(0, numbers),
            )
            turned = above_floor(energies, lowest, width, hill) / self.scale
            output["atomic_energies"] = torch.where(
                energies < lowest, turned.to(atomic.dtype), atomic
            )

    def _keep_below_limit(self, output: dict[str, Tensor], numbers: Tensor) -> None:
        """Shorten forces that are longer than any in the data, and what these atoms add to the virial."""
        if not self.has_limit:
            return
        forces = output["non_conservative_forces"]
        if forces.size(0) == 0:
            return
        # Usually one pass over the components says that nothing is to be done; inf and NaN fail the comparison.
        if bool(forces.detach().abs().max() < self.surely_short):
            return
        lengths = abs(self.scale) * torch.linalg.vector_norm(
            forces.detach().to(torch.float64), dim=1
        )  # (N,)
        longest = self.longest_force.index_select(0, numbers)  # (N,)
        within = lengths <= longest  # not so either where a network has overflown
        if not bool(within.all()):
            # A force that is not finite has no direction: the atom gets none, and r-RESPA all of it in its outer loop.
            is_finite = torch.isfinite(lengths)[:, None]  # (N, 1)
            factor = shortening(lengths, longest).to(forces.dtype)
            factor = factor[:, None]  # (N, 1), exactly 1 within
            output["non_conservative_forces"] = torch.where(
                is_finite, forces * factor, torch.zeros_like(forces)
            )
            if self.has_non_conservative_stress:
                virials = output["non_conservative_virials"]
                output["non_conservative_virials"] = torch.where(
                    is_finite[:, None], virials * factor[:, None], torch.zeros_like(virials)
                )

    def _close_edges(self, graph: Graph) -> Tensor:
        """Return the indices (C,) of the edges that are shorter than any in the data."""
        x, y, z = graph.edge_vectors.detach().unbind(1)
        squared = torch.addcmul(
            torch.addcmul(x * x, y, y), z, z
        )  # (E,), faster than a sum over rows
        # Few edges are shorter than the longest of these distances: only they are looked up by their elements.
        candidates = torch.nonzero(squared < self.longest * self.longest).flatten()
        if candidates.size(0) == 0:
            return candidates
        numbers = graph.atomic_numbers[graph.edge_index.index_select(1, candidates)]  # (2, C')
        shortest = self.shortest[numbers[0], numbers[1]]
        return candidates[squared.index_select(0, candidates) < shortest * shortest]

    def _pairs(self, graph: Graph, close: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return numbers (2, C), vectors (C, 3), lengths (C,) and shortest distances (C,) of close edges."""
        numbers = graph.atomic_numbers[graph.edge_index.index_select(1, close)]  # (2, C)
        vectors = graph.edge_vectors.index_select(0, close)  # (C, 3)
        # two atoms at one point have no direction to be driven apart in
        distance = torch.linalg.vector_norm(vectors, dim=1).clamp(min=1e-6)  # (C,)
        return numbers, vectors, distance, self.shortest[numbers[0], numbers[1]]

    def _seen(self, graph: Graph, close: Tensor) -> Graph:
        """Return the graph as the network sees it."""
        if close.size(0) == 0:
            return graph
        _, _, distance, shortest = self._pairs(graph, close)
        centre = graph.edge_index[0]
        crowding = torch.zeros(
            graph.atomic_numbers.size(0), dtype=distance.dtype, device=distance.device
        ).index_add(
            0,
            centre.index_select(0, close),
            closeness(distance, self.middle * shortest, (self.middle - self.bound) * shortest),
        )  # (N,)
        lost = part_lost(crowding).index_select(0, centre)  # (E,)
        length = torch.linalg.vector_norm(graph.edge_vectors, dim=1).clamp(min=1e-6)  # (E,)
        stretch = 1.0 + lost * (self.out_of_sight / length - 1.0)
        edges = torch.where(
            (lost > 0.0)[:, None], graph.edge_vectors * stretch[:, None], graph.edge_vectors
        )
        return with_edges(graph, graph.edge_index, edges, graph.reverse_edge)

    def _repulsion(self, graph: Graph, close: Tensor) -> tuple[Tensor, Tensor]:
        """Return u (C,) in eV and du/dr (C,) in eV/Å, float64."""
        numbers, _, distance, shortest = self._pairs(graph, close)
        distance, shortest = distance.to(torch.float64), shortest.to(torch.float64)
        return repulsion(numbers, distance, shortest, self.coulomb)

    def _add_forces(
        self, output: dict[str, Tensor], graph: Graph, close: Tensor, slopes: Tensor
    ) -> None:
        """Add the repulsion to what the heads predict: F_i = sum over the edges from i of du/dr r/|r|."""
        _, vectors, distance, _ = self._pairs(graph, close)
        vectors, distance = vectors.detach(), distance.detach()
        centre = graph.edge_index[0].index_select(0, close)
        pull = (slopes / self.scale / distance)[:, None] * vectors  # (C, 3)
        forces = output["non_conservative_forces"]
        output["non_conservative_forces"] = forces.index_add(0, centre, pull.to(forces.dtype))
        if self.has_non_conservative_stress:
            virials = output["non_conservative_virials"]
            added = -0.5 * vectors[:, :, None] * pull[:, None, :]  # (C, 3, 3)
            output["non_conservative_virials"] = virials.index_add(
                0, centre, added.to(virials.dtype)
            )


def part_lost(crowding: Tensor) -> Tensor:
    """Return 1 - (1 - x)^3, with x = 1 beyond it: 0 at 0, 1 from 1 on, two derivatives zero there.

    Parameters
    ----------
    crowding : (N,) tensor
        x, the sum of :func:`closeness` over the edges of an atom.
    """
    rest = 1.0 - crowding.clamp(max=1.0)
    return 1.0 - rest * rest * rest


def closeness(distance: Tensor, middle: Tensor, width: Tensor) -> Tensor:
    """Return t^3, t = (m - r) / (m - b): 0 from m on with two derivatives, 1 from b down.

    Together with :func:`part_lost` this is as gentle as possible: two steps of zero slope at both ends, one upon the
    other, would be three times as stiff.

    Parameters
    ----------
    distance, middle, width : (C,) tensor, Å
        r, m and m - b.
    """
    t = ((middle - distance) / width).clamp(0.0, 1.0)
    return t * t * t


def numbers_of_pair(name: str) -> tuple[int, int]:
    """Return the two atomic numbers of a pair such as ``"H-O"``.

    Raises
    ------
    ModelContractError
        If it is no pair of chemical symbols.
    """
    symbols = name.split("-")
    if len(symbols) != 2 or not all(symbol in number_of for symbol in symbols):
        raise ModelContractError(
            f"expected a pair of elements such as 'H-O', got {name!r}; give --shortest H-O=0.76"
        )
    return number_of[symbols[0]], number_of[symbols[1]]


def pair_name(first: int, second: int) -> str:
    """Return the name of a pair of elements by atomic numbers: ``"H-O"``, symbols in alphabetical order."""
    return "-".join(sorted((chemical_symbols[first], chemical_symbols[second])))
