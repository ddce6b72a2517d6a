"""How far energy and forces depend on the orientation of a structure in space.

References
----------
Langer, Pozdnyakov, Ceriotti, Mach. Learn.: Sci. Technol. 5, 04LT01 (2024).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ase import Atoms


def random_orientation(rng: np.random.Generator, *, inverted: bool) -> NDArray[np.float64]:
    """Return an orthogonal matrix (3, 3), uniform over rotations, times -1 if inverted."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.random(rng=rng).as_matrix()
    return -turn if inverted else turn


def turned(atoms: Atoms, matrix: NDArray[np.float64]) -> Atoms:
    """Return the structure with positions and cell multiplied by an orthogonal matrix (3, 3)."""
    result = atoms.copy()
    result.set_cell(atoms.cell.array @ matrix.T)
    result.positions = atoms.positions @ matrix.T
    return result


def orientational_spread(values: NDArray[np.float64]) -> tuple[float, float]:
    """Root mean square deviation over orientations, and the error that is left in their average.

    Parameters
    ----------
    values : (n, ...) array
        The same quantity in n orientations, turned back.

    Returns
    -------
    spread, error_of_average : float
        In the unit of the values. The second is half the root mean square difference between the averages of two
        halves.
    """
    n = len(values) // 2 * 2
    deviation = values - values.mean(axis=0)
    halves = values[0:n:2].mean(axis=0) - values[1:n:2].mean(axis=0)
    scale = np.sqrt(len(values) / (len(values) - 1.0))
    return float(scale * np.sqrt((deviation**2).mean())), float(0.5 * np.sqrt((halves**2).mean()))
