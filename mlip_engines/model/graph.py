"""The local graph that a network sees, and functions on it; units are eV and Å."""

# No "from __future__ import annotations" here: TorchScript reads the annotations of Graph as types.
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mlip_engines.model.contract import STRUCTURE_INPUTS


class Graph(NamedTuple):
    """Atoms, the edges between those closer than a cutoff, and what is known of the structure as a whole.

    It is the one argument of a network. TorchScript knows its fields, not its properties and methods.

    An edge may join an atom to its own periodic image, and two atoms may be joined by several edges
    with different shifts. No edges and a single atom are ordinary.
    """

    atomic_numbers: Tensor
    """(N,) int64."""

    edge_index: Tensor
    """(2, E) int64; row 0 is the centre i, row 1 the neighbour j. Both directions are there,
    and row 0 never decreases."""

    edge_vectors: Tensor
    """(E, 3) float64, Å; ``positions[j] + shift @ cell - positions[i]``, below the cutoff."""

    reverse_edge: Tensor
    """(E,) int64; the index of the edge from j to i with the opposite shift; its own inverse."""

    owned: Tensor
    """(N,) bool; the atoms whose energy counts: all, unless a domain decomposition adds a halo."""

    total_charge: Tensor | None = None
    """() or (B,), elementary charges; the charge of each structure, for networks that declare it."""

    spin_multiplicity: Tensor | None = None
    """() or (B,), 2 S + 1; the spin multiplicity of each structure, for networks that declare it."""

    structure_index: Tensor | None = None
    """(N,) int64; the structure, of B, that each atom belongs to. None: all belong to one."""

    @property
    def n_atoms(self) -> int:
        """Number of atoms N."""
        return self.atomic_numbers.size(0)

    @property
    def n_edges(self) -> int:
        """Number of directed edges E."""
        return self.edge_index.size(1)

    @property
    def local(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The atoms and edges, without the structure: the first arguments of the methods of a model file."""
        return self[:5]

    @property
    def structure_inputs(self) -> dict[str, Tensor]:
        """What is given of the structure as a whole, by name: the last argument of these methods."""
        values = {name: getattr(self, name) for name in STRUCTURE_INPUTS}
        given = {name: value for name, value in values.items() if value is not None}
        if given and self.structure_index is not None:
            given["structure_index"] = self.structure_index
        return given


def with_edges(
    graph: Graph, edge_index: Tensor, edge_vectors: Tensor, reverse_edge: Tensor
) -> Graph:
    """Return the graph with other edges between its atoms; scriptable, which ``graph._replace`` is not.

    Parameters
    ----------
    graph : Graph
    edge_index : (2, E) int64 tensor
    edge_vectors : (E, 3) tensor, Å
    reverse_edge : (E,) int64 tensor
    """
    return Graph(
        graph.atomic_numbers,
        edge_index,
        edge_vectors,
        reverse_edge,
        graph.owned,
        graph.total_charge,
        graph.spin_multiplicity,
        graph.structure_index,
    )


def values_of_atoms(graph: Graph, values: Tensor) -> Tensor:
    """Spread a value of each structure, such as its total charge, over the atoms; scriptable.

    Parameters
    ----------
    graph : Graph
    values : () or (B,) tensor

    Returns
    -------
    (N,) tensor
    """
    structure = graph.structure_index
    if structure is None or values.dim() == 0:
        return values.reshape(-1)[:1].expand(graph.atomic_numbers.size(0))
    return values.index_select(0, structure)


def reverse_edges(edge_index: Tensor, cell_shifts: Tensor) -> Tensor:
    """Index of the opposite of every edge.

    The opposite of the edge (i, j, shift) is (j, i, -shift); the work is a sort, O(E log E).

    Parameters
    ----------
    edge_index : (2, E) int64 tensor
        In any order.
    cell_shifts : (E, 3) integer tensor
        Lattice vectors added to the neighbour.

    Returns
    -------
    (E,) int64 tensor

    Raises
    ------
    ValueError
        If an edge occurs twice or its opposite is missing.

    Examples
    --------
    >>> reverse_edges(torch.tensor([[0, 0, 1], [0, 0, 1]]), torch.zeros((3, 2), dtype=torch.int64))
    Traceback (most recent call last):
    ...
    ValueError: expected shifts of shape (3, 3), got (3, 2)
    >>> reverse_edges(torch.tensor([[0, 0], [0, 0]]), torch.tensor([[1, 0, 0], [-1, 0, 0]]))
    tensor([1, 0])
    """
    n_edges = edge_index.size(1)
    if cell_shifts.shape != (n_edges, 3):
        raise ValueError(f"expected shifts of shape ({n_edges}, 3), got {tuple(cell_shifts.shape)}")
    if n_edges == 0:
        return torch.zeros(0, dtype=torch.int64, device=edge_index.device)
    shifts = cell_shifts.to(torch.int64)
    forward = torch.cat([edge_index, shifts.T])  # (5, E)
    backward = torch.cat([edge_index.flip(0), -shifts.T])  # (5, E)
    labels = _label_columns(torch.cat([forward, backward], dim=1))  # (2E,)
    n_labels = int(labels.max()) + 1
    edge_of_label = torch.zeros(n_labels, dtype=torch.int64, device=edge_index.device)
    edge_of_label[labels[:n_edges]] = torch.arange(n_edges, device=edge_index.device)
    reverse = edge_of_label[labels[n_edges:]]  # (E,)
    own_inverse = torch.equal(reverse[reverse], torch.arange(n_edges, device=reverse.device))
    if n_labels != n_edges or not own_inverse:
        raise ValueError(
            f"expected each of the {n_edges} edges once, with its opposite; got {n_labels} edges "
            "when the opposites are added: the list is not a full neighbour list"
        )
    return reverse


def batch_graphs(graphs: Sequence[Graph]) -> tuple[Graph, Tensor]:
    """Join graphs into one graph without edges between them.

    Parameters
    ----------
    graphs : sequence of Graph
        At least one.

    Returns
    -------
    graph : Graph
        Atoms and edges in the order of the sequence, so that the edges stay sorted by centre.
    structure_index : (N,) int64 tensor
        The position in the sequence of the structure that each atom comes from; the graph has it too.

    Raises
    ------
    ValueError
        If there is no graph, one is a batch already, or only some have a total charge or a spin multiplicity.
    """
    if len(graphs) == 0:
        raise ValueError("expected at least one graph to batch, got none")
    if any(g.structure_index is not None for g in graphs):
        raise ValueError("expected graphs of one structure each to batch, got a batch among them")
    device = graphs[0].atomic_numbers.device
    n_atoms = torch.tensor([g.n_atoms for g in graphs], device=device)
    first_atom = torch.cumsum(n_atoms, 0) - n_atoms
    n_edges = torch.tensor([g.n_edges for g in graphs], device=device)
    first_edge = torch.cumsum(n_edges, 0) - n_edges
    edge_index = torch.cat([g.edge_index for g in graphs], dim=1)
    reverse_edge = torch.cat([g.reverse_edge for g in graphs])
    structure_index = torch.arange(len(graphs), device=device).repeat_interleave(n_atoms)
    batched = Graph(
        torch.cat([g.atomic_numbers for g in graphs]),
        edge_index + first_atom.repeat_interleave(n_edges),
        torch.cat([g.edge_vectors for g in graphs]),
        reverse_edge + first_edge.repeat_interleave(n_edges),
        torch.cat([g.owned for g in graphs]),
        _of_structures("total_charge", [g.total_charge for g in graphs]),
        _of_structures("spin_multiplicity", [g.spin_multiplicity for g in graphs]),
        structure_index,
    )
    return batched, structure_index


def graph_to_device(graph: Graph, device: torch.device | str) -> Graph:
    """Return the graph with all its tensors on a device."""
    return Graph(*(None if value is None else value.to(device) for value in graph))


def _of_structures(name: str, values: list[Tensor | None]) -> Tensor | None:
    """Join a value of each structure to (B,), or None if no structure has it."""
    given = [value.reshape(()) for value in values if value is not None]
    if not given:
        return None
    if len(given) < len(values):
        raise ValueError(
            f"expected {name} of all {len(values)} graphs or of none, got it of {len(given)}"
        )
    return torch.stack(given)


def _label_columns(columns: Tensor) -> Tensor:
    """Number the distinct columns of an integer matrix; equal columns get equal labels."""
    labels, n_labels = torch.zeros_like(columns[0]), 1
    for row in columns:
        row = row - row.min()
        width = int(row.max()) + 1
        if n_labels * width >= 2**62:  # make the labels dense before they overflow
            labels = torch.unique(labels, return_inverse=True)[1]
            n_labels = int(labels.max()) + 1
        labels, n_labels = labels * width + row, n_labels * width
    return torch.unique(labels, return_inverse=True)[1]
