"""A periodic graph unfolded: images of atoms become atoms, each at its own place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mlip_engines.model.graph import Graph, reverse_edges
from mlip_engines.model.neighbors import neighbor_graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms


@dataclass(frozen=True)
class UnfoldedGraph:
    """The atoms of one cell, which are owned, and the images around them that their energies depend on."""

    graph: Graph
    """Its first atoms are those of the structure."""

    positions: torch.Tensor
    """(n, 3) Å, relative to the centre of the structure."""

    image_of: torch.Tensor
    """(n,) int64; the atom of the structure that each one is an image of."""


def unfolded_graph(
    atoms: Atoms, cutoff: float, n_layers: int, structure_inputs: Sequence[str] = ()
) -> UnfoldedGraph:
    """Unfold the graph of a structure.

    Parameters
    ----------
    atoms : ase.Atoms
        With any periodicity; without, the graph is the ordinary one.
    cutoff : float, Å
    n_layers : int
        Images up to so many edges away are there: what a network of so many layers sees.
    structure_inputs : sequence of str
        As for :func:`mlip_engines.model.neighbors.neighbor_graph`.

    Raises
    ------
    ValueError
        As :func:`mlip_engines.model.neighbors.neighbor_graph`.
    """
    folded = neighbor_graph(atoms, cutoff, structure_inputs)
    centres, neighbors = folded.edge_index.numpy()
    shifts = _shifts(atoms, folded)  # (E, 3)
    first_edge = np.searchsorted(centres, np.arange(len(atoms) + 1))

    # nodes are (atom, shift); those of a shell are one edge farther out than those of the shell before
    node_of = {(i, 0, 0, 0): i for i in range(len(atoms))}
    shell = list(node_of)
    edges: list[tuple[int, int, int]] = []  # centre, neighbour, edge of the folded graph
    outermost = len(atoms)
    for _ in range(n_layers):
        found = []
        for node in shell:
            i, shift = node[0], np.array(node[1:])
            for edge in range(first_edge[i], first_edge[i + 1]):
                other = (int(neighbors[edge]), *(shift + shifts[edge]).tolist())
                if other not in node_of:
                    node_of[other] = len(node_of)
                    found.append(other)
                edges.append((node_of[node], node_of[other], edge))
        outermost = len(node_of) - len(found)
        shell = found
    reverse = folded.reverse_edge.numpy()
    # centres have all their edges; atoms of the last shell have the reverses of those that lead to them
    edges += [(j, i, int(reverse[edge])) for i, j, edge in edges if j >= outermost]
    pairs = np.array(edges, dtype=np.int64).reshape(-1, 3)
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]

    nodes = np.array(list(node_of), dtype=np.int64).reshape(-1, 4)
    positions = atoms.positions[nodes[:, 0]] + nodes[:, 1:] @ atoms.cell.array
    if len(atoms):
        positions = positions - atoms.positions.mean(axis=0)
    image_of = torch.from_numpy(nodes[:, 0].copy())
    edge_index = torch.from_numpy(pairs[:, :2].T.copy())
    graph = folded._replace(
        atomic_numbers=folded.atomic_numbers[image_of],
        edge_index=edge_index,
        edge_vectors=folded.edge_vectors[torch.from_numpy(pairs[:, 2].copy())],
        reverse_edge=reverse_edges(edge_index, torch.zeros((len(pairs), 3), dtype=torch.int64)),
        owned=torch.arange(len(nodes)) < len(atoms),
    )
    return UnfoldedGraph(graph, torch.from_numpy(positions), image_of)


def _shifts(atoms: Atoms, graph: Graph) -> NDArray[np.int64]:
    """Lattice vectors (E, 3) that each edge of a periodic graph adds to its neighbour."""
    shifts = np.zeros((graph.n_edges, 3), dtype=np.int64)
    if not atoms.pbc.any():
        return shifts
    i, j = graph.edge_index.numpy()
    translations = graph.edge_vectors.numpy() - (atoms.positions[j] - atoms.positions[i])
    lattice = atoms.cell.array[atoms.pbc]
    shifts[:, atoms.pbc] = np.rint(translations @ np.linalg.pinv(lattice)).astype(np.int64)
    return shifts
