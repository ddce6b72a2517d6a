r"""Lindemann index: how much distances fluctuate, relative to their mean.

For a pair of atoms, delta_ij = sqrt(<r_ij^2> - <r_ij>^2) / <r_ij>, with averages over time.

References
----------
Lindemann, Phys. Z. 11, 609 (1910).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def lindemann_index(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lindemann index of each pair: standard deviation of its distance over time, over the mean.

    Parameters
    ----------
    distances : (F, P) array, Å
        Of P pairs in F frames.

    Returns
    -------
    (P,) array
    """
    return distances.std(axis=0) / distances.mean(axis=0)


def mean_over_partners(
    index: NDArray[np.float64], first: NDArray[np.int_], second: NDArray[np.int_], n_atoms: int
) -> NDArray[np.float64]:
    """Lindemann index of each atom: the mean over the pairs that it is in.

    Parameters
    ----------
    index : (P,) array
        Of pairs, as of :func:`lindemann_index`.
    first, second : (P,) int arrays
        Atoms of each pair.
    n_atoms : int

    Returns
    -------
    (n,) array
        Of the atoms that are in a pair, in their order.
    """
    partners = np.bincount(first, minlength=n_atoms) + np.bincount(second, minlength=n_atoms)
    totals = np.bincount(first, index, n_atoms) + np.bincount(second, index, n_atoms)
    return totals[partners > 0] / partners[partners > 0]


def pair_distances(
    positions: NDArray[np.float64], cells: NDArray[np.float64], first: NDArray, second: NDArray
) -> NDArray[np.float64]:
    """Distances of pairs of atoms: nearest images, where there is a cell.

    Parameters
    ----------
    positions : (F, N, 3) array, Å
    cells : (F, 3, 3) array, Å
        Zero for a structure that is not periodic.
    first, second : (P,) int arrays
        Atoms of each pair.

    Returns
    -------
    (F, P) array, Å
    """
    from ase.geometry import find_mic

    result = []
    for x, cell in zip(positions, cells, strict=True):
        vectors = x[second] - x[first]
        periodic = bool(np.abs(cell).any())
        result.append(find_mic(vectors, cell)[1] if periodic else np.linalg.norm(vectors, axis=1))
    return np.array(result)
