"""A package with the interface of graph-pes, as far as the adapter reads it, and energies that can be written down."""

import sys
from types import ModuleType
from typing import NamedTuple

import torch
from ase.calculators.calculator import Calculator, all_changes
from ase.data import atomic_numbers, chemical_symbols
from ase.neighborlist import neighbor_list
from torch import Tensor, nn


class AtomicGraph(NamedTuple):
    Z: Tensor
    R: Tensor
    cell: Tensor
    neighbour_list: Tensor
    neighbour_cell_offsets: Tensor
    properties: dict[str, Tensor]
    other: dict[str, Tensor]
    cutoff: float


def get_vectors(graph: AtomicGraph, i: Tensor, j: Tensor, shifts: Tensor) -> Tensor:
    return graph.R[j] + shifts @ graph.cell - graph.R[i]


def sum_over_central_atom_index(
    p: Tensor, central_atom_index: Tensor, graph: AtomicGraph
) -> Tensor:
    zero = torch.zeros(graph.Z.size(0), dtype=p.dtype)
    return zero.index_add(0, central_atom_index, p)


def triplet_edge_pairs(
    graph: AtomicGraph, three_body_cutoff: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Atom by atom, and without a derivative: the adapter has to replace it."""
    first: list[int] = []
    second: list[int] = []
    lengths = torch.linalg.vector_norm(graph.neighbour_cell_offsets.detach() @ graph.cell, dim=1)
    for a in range(lengths.size(0)):
        for b in range(lengths.size(0)):
            same = bool(graph.neighbour_list[0, a] == graph.neighbour_list[0, b])
            if same and a != b:
                first.append(a)
                second.append(b)
    one, two = torch.tensor(first), torch.tensor(second)
    offsets = graph.neighbour_cell_offsets.detach()
    return (graph.neighbour_list[:, one], offsets[one], graph.neighbour_list[:, two], offsets[two])


class GraphPESModel(nn.Module):
    def __init__(self, cutoff: float):
        super().__init__()
        self.register_buffer("cutoff", torch.tensor(cutoff))
        self.implemented_properties = ["local_energies"]

    @torch.jit.unused
    @property
    def elements_seen(self):
        return [chemical_symbols[z] for z in self.seen]


class Pairs(GraphPESModel):
    """Half of s (1 - r/c)^3 for each edge, times what the neighbour has seen of its own, if it looks that far."""

    seen = (1, 8)

    def __init__(self, cutoff: float, strength: float, layers: int = 1):
        super().__init__(cutoff)
        self.reach = cutoff
        self.strength = nn.Parameter(torch.tensor(strength))
        self.layers = layers

    def forward(self, graph: AtomicGraph) -> dict[str, Tensor]:
        centre, neighbor = graph.neighbour_list[0], graph.neighbour_list[1]
        vectors = get_vectors(graph, centre, neighbor, graph.neighbour_cell_offsets)
        fade = (1.0 - torch.linalg.vector_norm(vectors, dim=1) / self.reach) ** 3
        features = torch.ones(graph.Z.size(0), dtype=fade.dtype)
        for _ in range(self.layers):
            carried = 0.5 * self.strength * fade * features[neighbor]
            features = 0.1 * features + sum_over_central_atom_index(carried, centre, graph)
        return {"local_energies": (features - 0.1**self.layers).squeeze()}


class Angles(GraphPESModel):
    """The product of two fades and the cosine between, for each pair of edges of an atom."""

    seen = (1, 8)

    def __init__(self, cutoff: float):
        super().__init__(cutoff)
        self.reach = cutoff
        self.strength = nn.Parameter(torch.tensor(0.3))

    def forward(self, graph: AtomicGraph) -> dict[str, Tensor]:
        ij, s_ij, ik, s_ik = triplet_edge_pairs(graph, self.reach)
        one = get_vectors(graph, ij[0], ij[1], s_ij)
        two = get_vectors(graph, ik[0], ik[1], s_ik)
        a, b = torch.linalg.vector_norm(one, dim=1), torch.linalg.vector_norm(two, dim=1)
        fade = ((1.0 - a / self.reach) * (1.0 - b / self.reach)) ** 3
        energies = self.strength * fade * (one * two).sum(dim=1) / (a * b)
        return {"local_energies": sum_over_central_atom_index(energies, ij[0], graph)}


class Mean(GraphPESModel):
    """Sees the whole structure."""

    seen = (1, 8)

    def forward(self, graph: AtomicGraph) -> dict[str, Tensor]:
        energy = (graph.neighbour_cell_offsets**2).mean()
        return {"local_energies": energy.expand(graph.Z.size(0))}


class EnergyOffset(GraphPESModel):
    def __init__(self, **offsets: float):
        super().__init__(0.0)
        table = torch.zeros(100)
        for symbol, energy in offsets.items():
            table[atomic_numbers[symbol]] = energy
        self._offsets = nn.Parameter(table)


class AdditionModel(GraphPESModel):
    def __init__(self, **models):
        super().__init__(max(float(m.cutoff) for m in models.values()))
        self.models = nn.ModuleDict(models)
        self.seen = (1, 8)


class GraphPESCalculator(Calculator):
    """Pair by pair, with ASE's neighbour list."""

    implemented_properties = ["energy"]

    def __init__(self, model, device, skin):
        super().__init__()
        self.model = model

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": self.energy(self.model, atoms)}

    def energy(self, model, atoms):
        if isinstance(model, AdditionModel):
            return sum(self.energy(part, atoms) for part in model.models.values())
        if isinstance(model, EnergyOffset):
            return float(model._offsets[torch.tensor(atoms.numbers)].sum())
        i, j, d, vectors = neighbor_list("ijdD", atoms, float(model.cutoff))
        fade = (1.0 - d / float(model.cutoff)) ** 3
        strength = float(model.strength)
        if isinstance(model, Angles):
            unit = vectors / d[:, None]
            return sum(
                strength * fade[a] * fade[b] * float(unit[a] @ unit[b])
                for a in range(len(i))
                for b in range(len(i))
                if i[a] == i[b] and a != b
            )
        features = [1.0] * len(atoms)
        for _ in range(model.layers):
            new = [0.1 * x for x in features]
            for k in range(len(i)):
                new[i[k]] += 0.5 * strength * fade[k] * features[j[k]]
            features = new
        return sum(features) - len(atoms) * 0.1**model.layers


def installed(monkeypatch):
    """Put the package where graph-pes and e3nn would be; this module stands for all of its own."""
    here = sys.modules[__name__]
    names = ("", ".models", ".models.addition", ".models.offsets", ".utils", ".utils.calculator")
    for name in names:
        module = ModuleType(f"graph_pes{name}")
        for thing in ("GraphPESModel", "AdditionModel", "EnergyOffset", "GraphPESCalculator"):
            setattr(module, thing, globals()[thing])
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(sys.modules["graph_pes"], "models", sys.modules["graph_pes.models"], False)
    # functions that the adapter replaces are looked up where the models are
    monkeypatch.setitem(sys.modules, "graph_pes.atomic_graph", here)
    monkeypatch.setitem(sys.modules, "graph_pes.utils.threebody", here)
    for parent, child in (("graph_pes", "atomic_graph"), ("graph_pes.utils", "threebody")):
        monkeypatch.setattr(sys.modules[parent], child, here, False)
    monkeypatch.setattr(sys.modules["graph_pes"], "utils", sys.modules["graph_pes.utils"], False)
    jit = ModuleType("e3nn.util.jit")
    jit.script = lambda module, in_place: torch.jit.script(module)
    for name, module in (("e3nn", ModuleType("e3nn")), ("e3nn.util", ModuleType("e3nn.util"))):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "e3nn.util.jit", jit)
    monkeypatch.delitem(sys.modules, "mlip_engines.adapters.graph_pes.functions", raising=False)
