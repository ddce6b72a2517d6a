r"""The work of forces around a closed path: zero, if they have an energy.

W = closed integral of F . dr. Paths here are smooth and periodic in their parameter, so that the trapezoidal rule
converges faster than any power of the number of points; what is left of W for conservative forces is its error.

References
----------
Bigi, Langer, Ceriotti, ICML 2025 (arXiv:2412.11569), figure 6; Trefethen, Weideman, SIAM Rev. 56, 385 (2014), for the
trapezoidal rule.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Path = Callable[[float], tuple[NDArray[np.float64], NDArray[np.float64]]]


def loop_work(
    forces: Callable[[NDArray], NDArray], path: Path, n_points: int
) -> tuple[float, NDArray[np.float64]]:
    """Work of a force field on atoms that go around a closed path.

    Parameters
    ----------
    forces : callable
        Positions (N, 3), Å, to forces (N, 3), eV/Å; for a model,
        :meth:`mlip_engines.properties.force_field.ForceField.forces`.
    path : callable
        Parameter s to positions (N, 3) and their derivative with respect to s; period 1. For instance :func:`circle`
        or :func:`rotation_and_stretch`.
    n_points : int
        Places at which the forces are evaluated.

    Returns
    -------
    work : float, eV
    so_far : (n_points + 1,) array, eV
        Work up to each point.

    Raises
    ------
    ValueError
        If the path is not closed to 1e-9 Å.
    """
    gap = float(np.abs(path(1.0)[0] - path(0.0)[0]).max())
    if gap > 1e-9:
        raise ValueError(f"expected a closed path, its ends are {gap:.2g} Å apart")
    power = np.zeros(n_points)
    for k in range(n_points):
        positions, velocity = path(k / n_points)
        power[k] = (forces(positions) * velocity).sum()
    both = 0.5 * (power + np.roll(power, -1)) / n_points
    so_far = np.concatenate([[0.0], np.cumsum(both)])
    return float(so_far[-1]), so_far


def rotation_and_stretch(
    positions: NDArray[np.float64],
    moved: NDArray[np.int_],
    molecule: NDArray[np.float64],
    axis: NDArray[np.float64],
    *,
    angle: float,
    stretch: float,
) -> Path:
    """Path on which a molecule turns by angle sin(2 pi s) and stretches by stretch cos(2 pi s), out of phase.

    Parameters
    ----------
    positions : (N, 3) array, Å
        Of all atoms; those that are not moved stay there.
    moved : (n,) int array
        Indices of the molecule.
    molecule : (n, 3) array, Å
        Its positions in one piece.
    axis : (3,) array
        Of the rotation, of unit length.
    angle : float, rad
        Largest rotation.
    stretch : float
        Largest relative change of the distances from the centre.

    Returns
    -------
    callable
        As :func:`loop_work` wants it.
    """
    centre = molecule.mean(axis=0)
    offset = molecule - centre  # (n, 3)
    generator = np.cross(np.eye(3), -axis)  # generator @ v = axis x v

    def path(s: float) -> tuple[NDArray, NDArray]:
        phase = 2.0 * np.pi * s
        turned_by, longer = angle * np.sin(phase), 1.0 + stretch * np.cos(phase)
        turn = (
            np.eye(3)
            + np.sin(turned_by) * generator
            + (1.0 - np.cos(turned_by)) * generator @ generator
        )
        turned = offset @ turn.T
        angle_rate = 2.0 * np.pi * angle * np.cos(phase)
        stretch_rate = -2.0 * np.pi * stretch * np.sin(phase)
        x, v = positions.copy(), np.zeros_like(positions)
        x[moved] = centre + longer * turned
        v[moved] = stretch_rate * turned + longer * angle_rate * (turned @ generator.T)
        return x, v

    return path


def circle(
    positions: NDArray[np.float64], atom: int, first: NDArray, second: NDArray, radius: float
) -> Path:
    """Path of one atom on a circle around its place.

    Parameters
    ----------
    positions : (N, 3) array, Å
    atom : int
        Index of the one that moves.
    first, second : (3,) arrays
        Two orthogonal unit vectors; the atom goes from the first to the second.
    radius : float, Å

    Returns
    -------
    callable
        As :func:`loop_work` wants it.
    """

    def path(s: float) -> tuple[NDArray, NDArray]:
        phase = 2.0 * np.pi * s
        x, v = positions.copy(), np.zeros_like(positions)
        x[atom] += radius * (np.cos(phase) * first + np.sin(phase) * second)
        v[atom] = 2.0 * np.pi * radius * (-np.sin(phase) * first + np.cos(phase) * second)
        return x, v

    return path
