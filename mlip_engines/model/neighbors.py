"""Atoms to a graph: who is closer than the cutoff to whom, under any mix of boundary conditions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from ase import Atoms
from numpy.typing import ArrayLike
from vesin_torch import NeighborList

from mlip_engines.model.graph import Graph, reverse_edges
from mlip_engines.model.structure_inputs import structure_inputs_of

# A structure wider than this without periodicity is taken for one that has blown up.
LARGEST_OPEN_EXTENT = 1.0e4  # Å


def neighbor_graph(atoms: Atoms, cutoff: float, structure_inputs: Sequence[str] = ()) -> Graph:
    """Build the graph of an ASE structure.

    Parameters
    ----------
    atoms : ase.Atoms
        Need not be wrapped into the cell; cell and cutoff may have any ratio.
    cutoff : float, Å
    structure_inputs : sequence of str
        What the model depends on of the structure as a whole. It is read from ``atoms.info``, see
        :data:`mlip_engines.model.structure_inputs.INFO_KEYS`.

    Returns
    -------
    Graph
        On the CPU, edge vectors in float64.

    Raises
    ------
    ValueError
        As :func:`neighbor_graph_from_arrays`, or if ``atoms.info`` lacks a value that is asked for.

    Examples
    --------
    >>> graph = neighbor_graph(Atoms("H2", [[0, 0, 0], [0, 0, 0.74]]), cutoff=3.0)
    >>> graph.edge_index
    tensor([[0, 1],
            [1, 0]])
    >>> graph.reverse_edge
    tensor([1, 0])
    """
    graph = neighbor_graph_from_arrays(
        atoms.positions, atoms.cell.array, atoms.pbc, atoms.numbers, cutoff
    )
    if not structure_inputs:
        return graph
    return graph._replace(**as_tensors(structure_inputs_of(structure_inputs, atoms.info)))


def as_tensors(structure_inputs: Mapping[str, float]) -> dict[str, torch.Tensor]:
    """Return total charge and spin multiplicity as fields of a :class:`Graph`."""
    return {
        name: torch.tensor(value, dtype=torch.float64) for name, value in structure_inputs.items()
    }


def neighbor_graph_from_arrays(
    positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike, atomic_numbers: ArrayLike, cutoff: float
) -> Graph:
    """Build the graph of atoms given by arrays.

    Parameters
    ----------
    positions : (N, 3) array, Å
    cell : (3, 3) array, Å
        Rows are lattice vectors; rows without periodicity are not read and may be zero.
    pbc : (3,) bool array
    atomic_numbers : (N,) int array
    cutoff : float, Å
        An edge is kept if it is strictly shorter.

    Returns
    -------
    Graph

    Raises
    ------
    ValueError
        If the cutoff is not positive, a coordinate is not finite, two atoms are at the same place, the periodic
        lattice vectors are zero or linearly dependent, or the atoms are further apart than :data:`LARGEST_OPEN_EXTENT`
        where there is no periodicity.
    """
    positions = np.array(positions, dtype=np.float64).reshape(-1, 3)
    cell = np.array(cell, dtype=np.float64).reshape(3, 3)
    pbc = np.broadcast_to(np.asarray(pbc, dtype=bool), (3,))
    numbers = torch.tensor(np.asarray(atomic_numbers), dtype=torch.int64)
    _check(positions, cell, pbc, numbers, cutoff)
    cell = _closed_cell(positions, cell, pbc, cutoff)
    edge_index, shifts = _pairs(positions, cell, cutoff)
    # Formed in one way for both directions of a pair: opposite vectors are equal bit by bit.
    points = torch.from_numpy(positions)
    vectors = points[edge_index[1]] - points[edge_index[0]]
    vectors = vectors + shifts.to(torch.float64) @ torch.from_numpy(cell)  # (E, 3)
    squares = (vectors * vectors).sum(dim=1)  # (E,)
    if bool((squares == 0.0).any()):
        i, j = edge_index[:, squares.argmin()].tolist()
        raise ValueError(
            f"expected atoms at different places, got atoms {i} and {j} both at {positions[i]} (up to lattice "
            "vectors): a model has no forces there; remove one of them or move them apart"
        )
    within = squares < cutoff * cutoff  # (E,)
    edge_index, shifts = edge_index[:, within].contiguous(), shifts[within]
    return Graph(
        numbers,
        edge_index,
        vectors[within],
        reverse_edges(edge_index, shifts),
        torch.ones(len(positions), dtype=torch.bool),
    )


def _closed_cell(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float
) -> np.ndarray:
    """Return a cell that is periodic in all directions, with gaps of a cutoff in the open ones.

    One case instead of eight, and vesin is quadratic in the number of atoms for a mix of both.
    """
    lattice = cell[pbc]
    open_axes = np.linalg.svd(np.vstack([lattice, np.zeros((1, 3))]))[2][len(lattice) :]
    closed = cell.copy()
    if len(open_axes):
        along = positions @ open_axes.T  # (N, number of open directions)
        extent = np.ptp(along, axis=0) if len(positions) else np.zeros(len(open_axes))
        closed[~pbc] = (extent + 1.01 * cutoff)[:, None] * open_axes
    return closed


def _pairs(
    positions: np.ndarray, cell: np.ndarray, cutoff: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return edges (2, E) sorted by centre and shifts (E, 3), at least those in the cutoff."""
    if len(positions) == 0:
        return torch.zeros((2, 0), dtype=torch.int64), torch.zeros((0, 3), dtype=torch.int64)
    widths = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)  # between opposite faces
    # A hair more than the cutoff: which pairs count is decided above, from the vectors themselves.
    search = NeighborList(
        search_cutoff(widths.tolist(), cutoff * (1.0 + 1e-9)), full_list=True, sorted=True
    )
    pairs, shifts = search.compute(
        torch.from_numpy(positions), torch.from_numpy(cell), torch.tensor(True), "PS"
    )
    return pairs.to(torch.int64).T, shifts.to(torch.int64)


def search_cutoff(widths: list[float], cutoff: float, largest_cell_count: float = 1.0e5) -> float:
    """Return a cutoff, at least the one given, with which vesin has a cell in every direction.

    vesin 0.6 sorts atoms into at most ``largest_cell_count`` cells, of equal number per length in all
    directions. Where that leaves less than one cell across a flat structure it divides by zero,
    which ends the process. ``widths`` are the three distances between opposite faces of the cell, Å.
    Scriptable.
    """
    fits = False
    while not fits:
        total = 1.0
        fewest = math.inf
        for width in widths:
            cells = max(float(int(width / cutoff)), 1.0)
            total = total * cells
            fewest = min(fewest, cells)
        fits = total <= largest_cell_count
        if not fits:
            fits = fewest * (largest_cell_count / total) ** (1.0 / 3.0) >= 1.01
        if not fits:
            cutoff = cutoff * 1.25
    return cutoff


def _check(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, numbers: torch.Tensor, cutoff: float
) -> None:
    if not (np.isfinite(cutoff) and cutoff > 0.0):
        raise ValueError(f"cutoff must be positive and finite, got {cutoff}")
    if len(positions) != len(numbers):
        raise ValueError(f"expected one position per atom, got {len(positions)} for {len(numbers)}")
    bad = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if len(bad):
        raise ValueError(
            f"positions must be finite, got {positions[bad[0]]} for atom {bad[0]} "
            f"({len(bad)} such atoms); the simulation has probably blown up"
        )
    lattice = cell[pbc]
    if not np.isfinite(lattice).all():
        raise ValueError(f"cell must be finite, got {cell.tolist()}")
    # The volume of the periodic directions relative to that of a box with edges of the same length.
    lengths = np.linalg.norm(lattice, axis=1)
    spanned = np.sqrt(max(np.linalg.det(lattice @ lattice.T), 0.0)) if len(lattice) else 1.0
    if (lengths == 0.0).any() or spanned <= 1e-9 * np.prod(lengths):
        raise ValueError(
            f"expected linearly independent lattice vectors where pbc = {pbc.tolist()}, got cell "
            f"{cell.tolist()}; set the cell or switch pbc off"
        )
    if len(positions) and len(lattice) < 3:
        # Distance from the first atom, perpendicular to all periodic directions.
        offset = positions - positions[0]
        basis = np.linalg.qr(lattice.T)[0] if len(lattice) else np.zeros((3, 0))
        extent = np.linalg.norm(offset - offset @ basis @ basis.T, axis=1).max()
        if extent > LARGEST_OPEN_EXTENT:
            raise ValueError(
                f"expected atoms within {LARGEST_OPEN_EXTENT:g} Å of each other where there is no "
                f"periodicity, got {extent:g} Å; the simulation has probably blown up"
            )
