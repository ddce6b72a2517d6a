"""A network averaged over orientations, so that its answers no longer depend on how a structure lies in space.

With orthogonal matrices Q_m and weights w_m (:mod:`mlip_engines.model.orientations`) and the edge vectors r:

    E(r) = sum_m w_m E(Q_m r)
    F_nc(r) = sum_m w_m Q_m^T F_nc(Q_m r)
    W_nc(r) = sum_m w_m Q_m^T W_nc(Q_m r) Q_m

The conservative forces and the virial are derivatives of this E, and conserve it. Copies of the graph, one for each
orientation, are evaluated together, as many as have a given number of edges: the model file differentiates them before
it goes on to the next, so that memory does not grow with the number of orientations. Where an engine exchanges features
between processes, it knows one graph only, and the orientations follow one another.

References
----------
Langer, Pozdnyakov, Ceriotti, Mach. Learn.: Sci. Technol. 5, 04LT01 (2024); Bigi, Pegolo, Mazitov, Schmidt, Ceriotti,
arXiv:2601.16195, section 3.
"""

import torch
from torch import Tensor, nn

from mlip_engines.model.contract import ENGINE_HEADS, ModelContractError
from mlip_engines.model.derivatives import energy_gradient, energy_moments
from mlip_engines.model.exported import ExportedModel, dtype_of
from mlip_engines.model.graph import Graph
from mlip_engines.model.orientations import Orientations

EDGES_AT_ONCE = 8_192
"""More in one evaluation take memory and no less time on a CPU: docs/measurements/symmetrised.md."""


class Symmetrised(nn.Module):
    """The average of a network over orientations.

    Follows :mod:`mlip_engines.model.contract`, as the network in it does.

    Parameters
    ----------
    network : AtomicNetwork
    orientations : Orientations
    edges_at_once : int
        Edges of the copies that are evaluated together; at least one copy is.

    Raises
    ------
    ModelContractError
        If the network has heads of which nobody knows how they turn.
    """

    heads: list[str]
    structure_inputs: list[str]
    short_range: dict[str, float]
    energy_range: dict[str, list[float]]
    largest_forces: dict[str, float]

    def __init__(
        self, network: nn.Module, orientations: Orientations, edges_at_once: int = EDGES_AT_ONCE
    ):
        super().__init__()
        unknown = [head for head in network.heads if head not in ENGINE_HEADS]
        if unknown:
            raise ModelContractError(
                f"cannot average {', '.join(unknown)} over orientations: whether it turns with the structure is not "
                "known; export the network without these heads"
            )
        self.network = network
        self.edges_at_once = int(edges_at_once)
        self.symmetrisation = dict(orientations.origin)
        dtype = dtype_of(network)
        self.register_buffer("turns", torch.from_numpy(orientations.matrices).to(dtype))
        self.register_buffer("weights", torch.from_numpy(orientations.weights).to(dtype))
        self.cutoff = float(network.cutoff)
        self.message_passing_layers = int(network.message_passing_layers)
        self.non_conservative_layers = int(getattr(network, "non_conservative_layers", 0))
        self.feature_exchange = bool(getattr(network, "feature_exchange", False))
        self.edge_exchange = bool(getattr(network, "edge_exchange", False))
        self.structure_inputs = list(getattr(network, "structure_inputs", []))
        self.heads = list(network.heads)
        self.short_range = dict(getattr(network, "short_range", {}))
        self.energy_range = dict(getattr(network, "energy_range", {}))
        self.largest_forces = dict(getattr(network, "largest_forces", {}))

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate the energy and, if asked, the non-conservative heads, averaged; keeps all copies for a gradient."""
        total: dict[str, Tensor] = {}
        at_once = self.copies_at_once(graph.atomic_numbers.size(0), graph.edge_index.size(1))
        for first in range(0, self.weights.size(0), at_once):
            _add(total, self.part(graph, first, at_once, with_non_conservative))
        return total

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate the non-conservative heads only, averaged."""
        total: dict[str, Tensor] = {}
        at_once = self.copies_at_once(graph.atomic_numbers.size(0), graph.edge_index.size(1))
        for first in range(0, self.weights.size(0), at_once):
            turns, weights = self._orientations(first, at_once)
            predicted = self.network.non_conservative(self._copies(graph, turns))
            _add(total, self._turned_back(predicted, turns, weights))
        return total

    @torch.jit.export
    def copies_at_once(self, n_atoms: int, n_edges: int) -> int:
        """How many copies of a graph are evaluated together."""
        if torch.ops.mlip.is_exchanging(n_atoms):
            return 1  # what travels between the processes is arranged for this graph, and equally often on all
        return max(1, min(self.weights.size(0), self.edges_at_once // max(n_edges, 1)))

    @torch.jit.export
    def part(
        self, graph: Graph, first: int, count: int, with_non_conservative: bool
    ) -> dict[str, Tensor]:
        """Return what some orientations, from ``first`` on, add to the average."""
        turns, weights = self._orientations(first, count)
        predicted = self.network(self._copies(graph, turns), with_non_conservative)
        return self._turned_back(predicted, turns, weights)

    def _orientations(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        return self.turns[first : first + count], self.weights[first : first + count]

    def _copies(self, graph: Graph, turns: Tensor) -> Graph:
        """Return one graph of a turned copy per matrix in ``turns`` (m, 3, 3), without edges between them."""
        m, n_atoms, n_edges = turns.size(0), graph.atomic_numbers.size(0), graph.edge_index.size(1)
        edges = torch.matmul(graph.edge_vectors, turns.transpose(1, 2)).flatten(0, 1)  # (m E, 3)
        structure = graph.structure_index
        if m == 1:
            return Graph(
                graph.atomic_numbers,
                graph.edge_index,
                edges,
                graph.reverse_edge,
                graph.owned,
                graph.total_charge,
                graph.spin_multiplicity,
                structure,
            )
        copy = torch.arange(m, device=edges.device)
        of_edge = copy.repeat_interleave(n_edges)  # (m E,)
        charge, spin = graph.total_charge, graph.spin_multiplicity
        if structure is not None:  # values of each of B structures, once for each copy
            n_structures = 1
            if charge is not None and charge.dim() > 0:
                n_structures = charge.size(0)
                charge = charge.repeat(m)
            if spin is not None and spin.dim() > 0:
                n_structures = spin.size(0)
                spin = spin.repeat(m)
            structure = structure.repeat(m) + n_structures * copy.repeat_interleave(n_atoms)
        return Graph(
            graph.atomic_numbers.repeat(m),
            graph.edge_index.repeat(1, m) + n_atoms * of_edge,
            edges,
            graph.reverse_edge.repeat(m) + n_edges * of_edge,
            graph.owned.repeat(m),
            charge,
            spin,
            structure,
        )

    def _turned_back(
        self, predicted: dict[str, Tensor], turns: Tensor, weights: Tensor
    ) -> dict[str, Tensor]:
        """Return the weighted sum over copies of what they give, each turned back."""
        m = weights.size(0)
        output: dict[str, Tensor] = {}
        if "atomic_energies" in predicted:
            energies = predicted["atomic_energies"].view(m, -1)  # (m, N)
            output["atomic_energies"] = weights @ energies
        if "non_conservative_forces" in predicted:
            forces = predicted["non_conservative_forces"].view(m, -1, 3)  # (m, N, 3)
            weighted = weights[:, None, None] * turns  # (m, 3, 3)
            output["non_conservative_forces"] = torch.matmul(forces, weighted).sum(dim=0)
        if "non_conservative_virials" in predicted:
            virials = predicted["non_conservative_virials"].view(m, -1, 3, 3)  # (m, N, 3, 3)
            weighted = weights[:, None, None] * turns  # (m, 3, 3)
            back = torch.matmul(turns.transpose(1, 2)[:, None], virials)
            output["non_conservative_virials"] = torch.matmul(back, weighted[:, None]).sum(dim=0)
        return output


def _add(total: dict[str, Tensor], part: dict[str, Tensor]) -> None:
    """Add a part to what there is of each output."""
    for name, value in part.items():
        total[name] = total[name] + value if name in total else value


class SymmetrisedModel(ExportedModel):
    """Evaluate a symmetrised network for an engine, a part of the orientations after another.

    Parameters
    ----------
    network : Symmetrised
    reference_energies, scale
        As for :class:`~mlip_engines.model.exported.ExportedModel`.
    """

    def _differentiate(
        self, graph: Graph, edges: Tensor, with_non_conservative: bool
    ) -> tuple[dict[str, Tensor], Tensor]:
        total: dict[str, Tensor] = {}
        gradients = torch.zeros_like(edges)  # (E, 3)
        n_atoms, n_edges = graph.atomic_numbers.size(0), graph.edge_index.size(1)
        at_once = self.network.copies_at_once(n_atoms, n_edges)
        for first in range(0, self.network.weights.size(0), at_once):
            part = self.network.part(
                self._in_own_dtype(graph, edges), first, at_once, with_non_conservative
            )
            counted = self._counted(part, graph.owned).sum()
            gradients = gradients + energy_gradient(counted, edges)
            detached: dict[str, Tensor] = {}
            for name, value in part.items():
                detached[name] = value.detach().to(torch.float64)
            _add(total, detached)
        return total, gradients

    def _moments(self, graph: Graph, edges: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        gradients = torch.zeros_like(edges)  # (E, 3)
        moments = torch.zeros((edges.size(0), 3, 3), dtype=edges.dtype, device=edges.device)
        n_atoms, n_edges = graph.atomic_numbers.size(0), graph.edge_index.size(1)
        at_once = self.network.copies_at_once(n_atoms, n_edges)
        for first in range(0, self.network.weights.size(0), at_once):
            part = self.network.part(self._in_own_dtype(graph, edges), first, at_once, False)
            counted = self._counted(part, graph.owned)
            slope = energy_gradient(counted.sum(), edges, retain_graph=True)  # (E, 3)
            found = energy_moments(counted, positions, graph.edge_index, edges, slope)
            gradients, moments = gradients + slope, moments + found.detach()
        return gradients, moments
