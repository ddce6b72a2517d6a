"""A model of graph-pes without positions, and functions of ours where those of graph-pes do not fit.

Theirs forget the dtype where there are no edges, and cut the derivative by the offset of an edge.

Only to be imported where graph-pes is installed.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import graph_pes.atomic_graph as theirs
import graph_pes.utils.threebody as of_three
import torch
from graph_pes.atomic_graph import AtomicGraph
from torch import Tensor, nn


class Part(nn.Module):
    """A model of graph-pes that is given edges instead of positions, and drops those beyond its own cutoff."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model, self.cutoff = model, float(model.cutoff)

    def forward(self, numbers: Tensor, edge_index: Tensor, edge_vectors: Tensor) -> Tensor:
        """Return energies (N,) for numbers (N,), edges (2, E) and their vectors (E, 3)."""
        far = torch.linalg.vector_norm(edge_vectors, dim=1) >= self.cutoff  # NaN is not far
        near = torch.nonzero(torch.logical_not(far)).flatten()
        positions = torch.zeros(
            (numbers.size(0), 3), dtype=edge_vectors.dtype, device=edge_vectors.device
        )
        graph = AtomicGraph(
            Z=numbers,
            R=positions,
            cell=torch.eye(3, dtype=edge_vectors.dtype, device=edge_vectors.device),
            neighbour_list=edge_index.index_select(1, near),
            neighbour_cell_offsets=edge_vectors.index_select(0, near),
            properties={},
            other={},
            cutoff=self.cutoff,
        )
        return self.model(graph)["local_energies"].reshape(-1)


class Sum(nn.Module):
    """The sum of models."""

    def __init__(self, parts: list[nn.Module]):
        super().__init__()
        self.parts = nn.ModuleList([Part(part) for part in parts])

    def forward(self, numbers: Tensor, edge_index: Tensor, edge_vectors: Tensor) -> Tensor:
        """Return energies (N,)."""
        energies = torch.zeros(
            numbers.size(0), dtype=edge_vectors.dtype, device=edge_vectors.device
        )
        for part in self.parts:
            energies = energies + part(numbers, edge_index, edge_vectors)
        return energies


def get_vectors(graph: AtomicGraph, i: Tensor, j: Tensor, shifts: Tensor) -> Tensor:
    """Vectors (E, 3) of edges: their offsets, as there are no positions."""
    return shifts


def sum_over_central_atom_index(
    p: Tensor, central_atom_index: Tensor, graph: AtomicGraph
) -> Tensor:
    """Sums (N, ...) over the rows of each atom."""
    shape = [graph.Z.size(0)] + list(p.size())[1:]
    zero = torch.zeros(shape, dtype=p.dtype, device=p.device)
    return zero.index_add(0, central_atom_index.to(torch.int64), p)


def triplet_edge_pairs(
    graph: AtomicGraph, three_body_cutoff: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """All ordered pairs of different edges of one centre, both shorter than a cutoff; edges are sorted by centre."""
    edges, vectors = graph.neighbour_list, graph.neighbour_cell_offsets
    far = torch.linalg.vector_norm(vectors, dim=1) >= three_body_cutoff
    near = torch.nonzero(torch.logical_not(far)).flatten()  # (E',), by centre
    centre = edges[0].index_select(0, near)
    counts = torch.bincount(centre, minlength=graph.Z.size(0))
    partners = counts.index_select(0, centre)  # (E',)
    first = (torch.cumsum(counts, 0) - counts).index_select(0, centre)
    one = torch.repeat_interleave(partners)  # (Y',), each edge once for each of its partners
    rank = torch.arange(one.size(0), device=one.device)
    rank = rank - (torch.cumsum(partners, 0) - partners).index_select(0, one)
    other = first.index_select(0, one) + rank
    differ = torch.nonzero(one != other).flatten()
    a = near.index_select(0, one.index_select(0, differ))
    b = near.index_select(0, other.index_select(0, differ))
    return (
        edges.index_select(1, a),
        vectors.index_select(0, a),
        edges.index_select(1, b),
        vectors.index_select(0, b),
    )


@contextmanager
def replaced() -> Iterator[None]:
    """Put our functions wherever graph-pes has its own, for as long as a model is made a script."""
    ours = {
        theirs.get_vectors: get_vectors,
        theirs.sum_over_central_atom_index: sum_over_central_atom_index,
        of_three.triplet_edge_pairs: triplet_edge_pairs,
    }
    places = [
        (module, function)
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == "graph_pes"
        for function in ours
        if getattr(module, function.__name__, None) is function
    ]
    for module, function in places:
        setattr(module, function.__name__, ours[function])
    try:
        yield
    finally:
        for module, function in places:
            setattr(module, function.__name__, function)
