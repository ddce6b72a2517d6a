"""Pair distribution functions g(r), by ASE."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ase import Atoms


def largest_radius(cell: NDArray[np.float64]) -> float:
    """Half the smallest distance between opposite faces of a cell (3, 3), Å: up to there g(r) is whole."""
    return float(0.5 / np.linalg.norm(np.linalg.inv(cell), axis=0).max())


def pair_distribution(
    frames: list[Atoms], elements: tuple[str, str], radius: float, n_bins: int
) -> tuple[NDArray, NDArray]:
    """Pair distribution function of two elements, averaged over frames, by :func:`ase.geometry.rdf.get_rdf`.

    Parameters
    ----------
    frames : list of ase.Atoms
        Periodic in all directions.
    elements : tuple of str
        May be the same one twice.
    radius : float, Å
        At most :func:`largest_radius` of the smallest cell.
    n_bins : int

    Returns
    -------
    r : (n_bins,) array, Å
        Centres of the bins.
    g : (n_bins,) array
        1 where there is no structure.
    """
    from ase.geometry.rdf import get_rdf

    g, r = get_rdf(frames, radius, n_bins, elements=elements)
    return np.asarray(r), np.asarray(g)
