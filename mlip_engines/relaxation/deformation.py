r"""Deformation of a cell as coordinates of an optimiser: F = exp(L), L symmetric.

A structure with the cell h_0 has the coordinates z and L: its atoms are at x = z F and its cell is h = h_0 F, vectors
being rows. With the virial W = -dE/d(strain) and the forces f on the atoms, the forces on the coordinates are

    on z:  f F,       on L:  D[F^{-1} W],

where D is the derivative of the matrix exponential, which a symmetric matrix has in closed form (Daleckii and Krein,
see Higham, Functions of Matrices, SIAM 2008, theorem 3.11): in the eigenvectors of L, element ij is multiplied by
(e^{l_i} - e^{l_j})/(l_i - l_j). ASE's ``FrechetCellFilter`` has the same coordinates, without the symmetry of L, which
leaves rotations out. As there, an optimiser sees N L and forces divided by N, the number of atoms.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def deformation(log: Array) -> Array:
    """Return F = exp(L) (S, 3, 3) of symmetric L (S, 3, 3)."""
    values, vectors = np.linalg.eigh(log)
    return (vectors * np.exp(values)[:, None, :]) @ vectors.transpose(0, 2, 1)


def force_on_log(log: Array, virials: Array) -> Array:
    """Return -dE/dL (S, 3, 3) in eV, symmetric.

    Parameters
    ----------
    log : (S, 3, 3) array
        L, symmetric.
    virials : (S, 3, 3) array, eV
        -dE/d(strain), symmetric.
    """
    values, vectors = np.linalg.eigh(log)
    grown = np.exp(values)
    mean = 0.5 * (values[:, :, None] + values[:, None, :])
    half = 0.5 * (values[:, :, None] - values[:, None, :])
    # exp(mean) sinh(half)/half: the divided difference without the loss of digits
    safe = np.where(np.abs(half) < 1e-4, 1.0, half)
    ratio = np.where(np.abs(half) < 1e-4, 1.0 + half * half / 6.0, np.sinh(safe) / safe)
    turned = vectors.transpose(0, 2, 1) @ virials @ vectors / grown[:, :, None]
    forces = vectors @ (turned * np.exp(mean) * ratio) @ vectors.transpose(0, 2, 1)
    return 0.5 * (forces + forces.transpose(0, 2, 1))
