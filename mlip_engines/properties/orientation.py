"""Directions of molecules, and how those of two molecules depend on each other."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ase import Atoms


def orientations(
    positions: NDArray[np.float64], masses: NDArray[np.float64], marked: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre of mass and direction of a molecule.

    Parameters
    ----------
    positions : (F, n, 3) array, Å
        In one piece.
    masses : (n,) array
    marked : (n,) bool array
        Atoms whose mean position the direction points to.

    Returns
    -------
    centre, direction : (F, 3) arrays
        The direction has unit length.
    """
    centre = np.einsum("fni,n->fi", positions, masses / masses.sum())
    arrow = positions[:, marked].mean(axis=1) - centre
    return centre, arrow / np.linalg.norm(arrow, axis=1, keepdims=True)


def orientational_correlation(
    centres: NDArray[np.float64],
    directions: NDArray[np.float64],
    cell: NDArray[np.float64],
    edges: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mean u_i . u_j of pairs of molecules by distance of their centres.

    Parameters
    ----------
    centres : (F, n, 3) array, Å
    directions : (F, n, 3) array
    cell : (F, 3, 3) array, Å
    edges : (k + 1,) array, Å
        Of the bins; the last at most :func:`mlip_engines.properties.radial_distribution.largest_radius`.

    Returns
    -------
    (k,) array
        NaN in bins without pairs.
    """
    from ase.geometry import find_mic

    first, second = np.triu_indices(centres.shape[1], k=1)
    total, count = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for x, u, box in zip(centres, directions, cell, strict=True):
        distance = find_mic(x[second] - x[first], box)[1]
        products = (u[first] * u[second]).sum(axis=1)
        total += np.histogram(distance, edges, weights=products)[0]
        count += np.histogram(distance, edges)[0]
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def directions_of(
    atoms: Atoms, groups: list[NDArray[np.int_]], positions: NDArray, cells: NDArray
) -> tuple[NDArray, NDArray]:
    """Centres of mass and directions of all molecules of more than one atom.

    The direction is the unit vector from the centre of mass to the mean position of the most frequent element (for
    water, along the dipole). Engines do not wrap positions one by one, but the structure they started
    from may have been: each atom is put next to the first of its molecule.

    Parameters
    ----------
    atoms : ase.Atoms
        Periodic.
    groups : list of int arrays
        Indices of each molecule, as of :func:`mlip_engines.properties.molecules.find_molecules`.
    positions : (F, N, 3) array, Å
    cells : (F, 3, 3) array, Å

    Returns
    -------
    centres, directions : (F, n, 3) arrays
        The centres in Å; the directions have unit length.
    """
    from ase.geometry import find_mic

    symbols, masses = np.array(atoms.get_chemical_symbols()), atoms.get_masses()
    centres, arrows = [], []
    for group in groups:
        if len(group) < 2:
            continue
        offset = positions[:, group] - positions[:, group[:1]]  # (F, n, 3)
        offset = np.array([find_mic(o, c)[0] for o, c in zip(offset, cells, strict=True)])
        (frequent, _), *_ = Counter(symbols[group]).most_common()
        marked = symbols[group] == frequent
        if marked.all():
            marked = np.arange(len(group)) == 0
        centre, arrow = orientations(positions[:, group[:1]] + offset, masses[group], marked)
        centres.append(centre)
        arrows.append(arrow)
    return np.stack(centres, axis=1), np.stack(arrows, axis=1)
