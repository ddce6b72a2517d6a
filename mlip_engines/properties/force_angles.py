"""The angle between the forces of two models on the same atom."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def force_angles(
    first: NDArray[np.float64], second: NDArray[np.float64], least: float = 1e-3
) -> NDArray[np.float64]:
    """Return the angle of each atom: 0 where both pull alike, 180 where they fight each other.

    Parameters
    ----------
    first, second : (N, 3) arrays, eV/Å
    least : float, eV/Å
        Atoms on which one of the two forces is shorter have no direction and are left out.

    Returns
    -------
    (n,) array, degrees

    References
    ----------
    Zheng, Fung, Improving reliability of machine learned interatomic potentials with physics-informed pretraining,
    appendix B and figure B.1.
    """
    lengths = np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)
    used = (lengths[0] >= least) & (lengths[1] >= least)
    cosine = (first * second).sum(axis=1)[used] / (lengths[0] * lengths[1])[used]
    return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
