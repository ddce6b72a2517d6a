"""Which atoms are a molecule: those joined by bonds as long as covalent radii say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ase import Atoms

STRETCH = 1.2  # a bond is at most this times the sum of the covalent radii


def bonds(atoms: Atoms) -> NDArray[np.int_]:
    """Return pairs (B, 2), i < j, of bonded atoms, from covalent radii and minimum images."""
    from ase.neighborlist import build_neighbor_list, natural_cutoffs

    cutoffs = natural_cutoffs(atoms, mult=STRETCH)
    matrix = build_neighbor_list(
        atoms, cutoffs=cutoffs, skin=0.0, self_interaction=False, bothways=False
    ).get_connectivity_matrix(sparse=True)
    i, j = matrix.nonzero()
    pairs = np.sort(np.stack([i, j], axis=1), axis=1)
    return np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0).reshape(-1, 2)


def find_molecules(atoms: Atoms) -> list[NDArray[np.int_]]:
    """Return the indices of each molecule; a network of bonds, a metal for instance, is one."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    pairs, n = bonds(atoms), len(atoms)
    matrix = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    count, label = connected_components(matrix, directed=False)
    return [np.flatnonzero(label == k) for k in range(count)]


def whole_molecule(atoms: Atoms, indices: NDArray[np.int_]) -> NDArray[np.float64]:
    """Return positions (n, 3) of a molecule in one piece, Å, whose first atom stays where it is."""
    everywhere = bonds(atoms)
    inside = everywhere[np.isin(everywhere, indices).all(axis=1)]
    order = np.argsort(indices)
    pairs = order[np.searchsorted(indices, inside, sorter=order)]
    return in_one_piece(atoms, np.asarray(indices)[None], pairs)[0]


def in_one_piece(
    atoms: Atoms, groups: NDArray[np.int_], pairs: NDArray[np.int_]
) -> NDArray[np.float64]:
    """Put molecules that are alike together along their bonds, so that they may be longer than half of the cell.

    Parameters
    ----------
    atoms : ase.Atoms
    groups : (m, n) array of int
        Indices of the atoms of each molecule.
    pairs : (B, 2) array of int
        Bonds, among the n.

    Returns
    -------
    (m, n, 3) array, Å
        The first atom of each stays where it is.
    """
    from ase.geometry import find_mic

    positions = atoms.positions[groups]
    if not atoms.pbc.any():
        return positions
    neighbours: list[list[int]] = [[] for _ in range(groups.shape[1])]
    for a, b in np.asarray(pairs, dtype=int).reshape(-1, 2).tolist():
        neighbours[a].append(b)
        neighbours[b].append(a)
    reached, todo = {0}, [0]
    while todo:
        a = todo.pop()
        for b in neighbours[a]:
            if b not in reached:
                apart = find_mic(positions[:, b] - positions[:, a], atoms.cell, atoms.pbc)[0]
                positions[:, b] = positions[:, a] + apart
                reached.add(b)
                todo.append(b)
    return positions


def is_molecular(atoms: Atoms) -> bool:
    """Whether the structure is made of several molecules of more than one atom, at most 50 each."""
    sizes = [len(m) for m in find_molecules(atoms)]
    return len(sizes) > 1 and max(sizes) <= 50 and max(sizes) > 1


def cluster_of(
    atoms: Atoms, groups: list[NDArray[np.int_]], centre: int, n_molecules: int
) -> Atoms:
    """Return a molecule and those nearest to it, each in one piece, without cell or periodicity.

    Parameters
    ----------
    atoms : ase.Atoms
    groups : list of int arrays
        Indices of each molecule, as of :func:`find_molecules`.
    centre : int
        Which molecule is in the middle.
    n_molecules : int
        In the cluster, the one in the middle included; by the distance of their first atoms.
    """
    first = [int(g[0]) for g in groups]
    middle = first[centre]
    vectors = atoms.get_distances(middle, first, mic=bool(atoms.pbc.any()), vector=True)
    nearest = np.argsort(np.linalg.norm(vectors, axis=1), kind="stable")[:n_molecules]
    parts = []
    for k in nearest:
        part = atoms[groups[k]]
        part.positions = whole_molecule(atoms, groups[k]) - atoms.positions[first[k]] + vectors[k]
        parts.append(part)
    cluster = parts[0]
    for part in parts[1:]:
        cluster += part
    cluster.pbc = False
    cluster.cell = np.zeros((3, 3))
    return cluster
