"""Small structures that a model is probed with, scaled by its cutoff, and what is done to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mlip_engines.model.graph import Graph
from mlip_engines.model.neighbors import neighbor_graph_from_arrays


@dataclass(frozen=True)
class Probe:
    """A structure, in vacuum or periodic in all three directions."""

    positions: Tensor  # (N, 3) Å, float64
    cell: Tensor | None  # (3, 3) Å, rows are lattice vectors
    numbers: Sequence[int]  # N atomic numbers
    cutoff: float  # Å

    def graph(self) -> Graph:
        """Return the graph of the structure."""
        cell = torch.zeros((3, 3)) if self.cell is None else self.cell
        return neighbor_graph_from_arrays(
            self.positions.numpy(), cell.numpy(), self.cell is not None, self.numbers, self.cutoff
        )

    def displaced(self, displacements: Tensor) -> Probe:
        """Move the atoms by (N, 3) displacements, Å."""
        return replace(self, positions=self.positions + displacements)

    def strained(self, strain: Tensor) -> Probe:
        """Deform atoms and cell: r' = r + r @ strain, with a (3, 3) strain."""
        cell = None if self.cell is None else self.cell + self.cell @ strain
        return replace(self, positions=self.positions + self.positions @ strain, cell=cell)

    def rotated(self, turn: Tensor) -> Probe:
        """Turn atoms and cell: r' = r @ turn, with a (3, 3) rotation."""
        cell = None if self.cell is None else self.cell @ turn
        return replace(self, positions=self.positions @ turn, cell=cell)

    def translated(self) -> Probe:
        """Move all atoms together and, in a cell, each by other lattice vectors as well."""
        positions = self.positions + torch.tensor([0.7, -1.9, 3.1], dtype=torch.float64)
        if self.cell is not None:
            multiples = torch.arange(3 * len(positions)).reshape(-1, 3) % 5 - 2
            positions = positions + multiples.to(torch.float64) @ self.cell
        return replace(self, positions=positions)

    def reordered(self, order: Tensor) -> Probe:
        """Return the same atoms in another order."""
        numbers = [self.numbers[k] for k in order.tolist()]
        return replace(self, positions=self.positions[order], numbers=numbers)

    def repeated(self) -> Probe:
        """Double the cell along its first vector."""
        if self.cell is None:
            raise ValueError("a structure in vacuum has no cell to repeat")
        scale = torch.tensor([[2.0], [1.0], [1.0]], dtype=torch.float64)
        positions = torch.cat([self.positions, self.positions + self.cell[0]])
        return replace(
            self, positions=positions, cell=self.cell * scale, numbers=[*self.numbers] * 2
        )


def single_atom(cutoff: float, numbers: Sequence[int]) -> Probe:
    """One atom in vacuum."""
    return Probe(torch.zeros((1, 3), dtype=torch.float64), None, [numbers[0]], cutoff)


def cluster(cutoff: float, numbers: Sequence[int]) -> Probe:
    """Seven atoms of all elements (more for more elements), some 0.4 cutoffs apart."""
    n_atoms = max(7, len(numbers))
    grid = torch.cartesian_prod(*3 * [torch.arange(int(n_atoms ** (1 / 3)) + 1)])[:n_atoms]
    positions = 0.4 * cutoff * (grid.to(torch.float64) + _jitter(n_atoms))
    return Probe(positions, None, _cycle(numbers, n_atoms), cutoff)


def crowded_cell(cutoff: float, numbers: Sequence[int]) -> Probe:
    """Four atoms in a triclinic cell shorter than the cutoff: images, also of an atom itself."""
    shape = [[0.80, 0.0, 0.0], [0.14, 0.74, 0.0], [-0.12, 0.10, 0.86]]
    cell = cutoff * torch.tensor(shape, dtype=torch.float64)
    fractions = torch.tensor(
        [[0.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]], dtype=torch.float64
    )
    positions = (fractions + 0.3 * _jitter(4)) @ cell
    return Probe(positions, cell, _cycle(numbers, 4), cutoff)


def at_the_cutoff(cutoff: float, numbers: Sequence[int], margin: float) -> Probe:
    """Three neighbours, and a fourth atom inside the cutoff of the first by ``margin`` cutoffs."""
    scaled = [[0.0, 0.0, 0.0], [-0.35, 0.1, 0.05], [-0.2, -0.3, 0.25], [1.0 - margin, 0.0, 0.0]]
    positions = cutoff * torch.tensor(scaled, dtype=torch.float64)
    return Probe(positions, None, _cycle(numbers, 4), cutoff)


def chain(cutoff: float, numbers: Sequence[int], n_atoms: int) -> Probe:
    """Atoms in a row, each an edge away from the next and no other."""
    positions = _jitter(n_atoms)
    positions[:, 0] += torch.arange(n_atoms)
    return Probe(0.7 * cutoff * positions, None, _cycle(numbers, n_atoms), cutoff)


def reorder_edges(graph: Graph) -> Graph:
    """Shuffle the edges of each centre among themselves."""
    key = torch.rand(graph.n_edges, generator=torch.Generator().manual_seed(7))
    shuffled = torch.argsort(key)
    order = shuffled[torch.argsort(graph.edge_index[0][shuffled], stable=True)]  # (E,) old index
    return _select_edges(graph, order)


def without_longest_edges(graph: Graph, length: float) -> Graph:
    """Remove the edges of at least a length."""
    return _select_edges(graph, torch.nonzero(graph.edge_vectors.norm(dim=1) < length).flatten())


def _select_edges(graph: Graph, order: Tensor) -> Graph:
    """Return the graph with the edges ``order``, in this order."""
    new_index = torch.full((graph.n_edges,), -1, dtype=torch.int64)
    new_index[order] = torch.arange(len(order))
    return graph._replace(
        edge_index=graph.edge_index[:, order],
        edge_vectors=graph.edge_vectors[order],
        reverse_edge=new_index[graph.reverse_edge[order]],
    )


def _jitter(n_atoms: int) -> Tensor:
    """Displacements (N, 3) between -0.2 and 0.2, always the same."""
    generator = torch.Generator().manual_seed(11)
    return 0.4 * torch.rand((n_atoms, 3), generator=generator, dtype=torch.float64) - 0.2


def _cycle(numbers: Sequence[int], n_atoms: int) -> list[int]:
    return [numbers[k % len(numbers)] for k in range(n_atoms)]
