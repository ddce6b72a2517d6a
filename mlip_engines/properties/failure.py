r"""When a trajectory stops to be physical: two atoms overlap, or distances fluctuate too much.

Overlap: two atoms are closer than half the smallest distance at the start. Lindemann index of atom i,

    delta_i = mean over j of sqrt(<r_ij^2> - <r_ij>^2) / <r_ij>,

with averages from the start to the time in question; above 0.25 for any atom, or above 0.2 on average, is a failure.

References
----------
Zheng, Fung, Improving reliability of machine learned interatomic potentials with physics-informed pretraining, section
2.4.2, whose formula of the index lacks the root (it would have a unit).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OVERLAP = 0.5  # of the smallest distance at the start
LOCAL_LIMIT, GLOBAL_LIMIT = 0.25, 0.2
FEWEST_FRAMES = 10  # over fewer the fluctuation of a distance is noise


@dataclass(frozen=True)
class Failure:
    """When a trajectory failed, if it did, and by how much."""

    overlap_ps: float | None  # time of the first overlap; None without one
    lindemann_ps: float | None  # time at which an index first was too large
    smallest_distance: float  # Å
    local_index: float  # largest delta_i, of the whole trajectory
    global_index: float  # mean


def first_failure(
    distances: NDArray[np.float64],
    first: NDArray[np.int_],
    second: NDArray[np.int_],
    n_atoms: int,
    time_ps: NDArray[np.float64],
) -> Failure:
    """Judge a trajectory by the distances of all pairs.

    Parameters
    ----------
    distances : (F, P) array, Å
        At least one frame and one pair.
    first, second : (P,) int arrays
        Atoms of each pair.
    n_atoms : int
    time_ps : (F,) array

    Returns
    -------
    Failure
    """
    smallest = distances.min(axis=1)  # (F,)
    overlaps = np.flatnonzero(smallest <= OVERLAP * smallest[0])
    partners = np.bincount(first, minlength=n_atoms) + np.bincount(second, minlength=n_atoms)
    total, squares = np.zeros(distances.shape[1]), np.zeros(distances.shape[1])
    origin, index, lindemann = distances[0], np.zeros(n_atoms), None
    for k, row in enumerate(distances):
        offset = row - origin  # sums of squares of these keep their digits
        total += offset
        squares += offset * offset
        mean = total / (k + 1)
        deviation = np.sqrt(np.maximum(squares / (k + 1) - mean * mean, 0.0))
        relative = deviation / (origin + mean)
        sums = np.bincount(first, relative, n_atoms) + np.bincount(second, relative, n_atoms)
        index = sums / np.maximum(partners, 1)
        too_large = index.max() > LOCAL_LIMIT or index.mean() > GLOBAL_LIMIT
        if lindemann is None and k + 1 >= FEWEST_FRAMES and too_large:
            lindemann = float(time_ps[k])
    return Failure(
        float(time_ps[overlaps[0]]) if len(overlaps) else None,
        lindemann,
        float(smallest.min()),
        float(index.max()),
        float(index.mean()),
    )
