"""Where the atoms of a displaced copy were before, and the forces there: how forces change along a displacement.

A copy that was labelled by a model has both as columns of its own, ``undisplaced_positions`` and
``undisplaced_forces``, so that it stays complete wherever a file is divided or put in another order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

POSITIONS, FORCES = "undisplaced_positions", "undisplaced_forces"


class Undisplaced(NamedTuple):
    """The structure of which another is a displaced copy."""

    positions: NDArray[np.float64]  # (N, 3) Å
    forces: NDArray[np.float64]  # (N, 3) eV/Å, labels


def keep_undisplaced(
    copy: Atoms, positions: NDArray[np.float64], forces: NDArray[np.float64]
) -> None:
    """Write into a copy where its atoms were, (N, 3) Å, and the forces there, (N, 3) eV/Å."""
    copy.set_array(POSITIONS, positions, float, (3,))
    copy.set_array(FORCES, forces, float, (3,))


def undisplaced(atoms: Atoms) -> Undisplaced | None:
    """Return what a copy says of the structure before it was displaced; None if it says nothing.

    Raises
    ------
    ValueError
        If one of the two columns is missing, has another shape, or is not finite.
    """
    columns = [atoms.arrays.get(name) for name in (POSITIONS, FORCES)]
    if all(values is None for values in columns):
        return None
    for name, values in zip((POSITIONS, FORCES), columns, strict=True):
        expected = f"expected the columns {POSITIONS} and {FORCES}, three numbers an atom each"
        if values is None:
            raise ValueError(f"{expected}; got no {name}")
        if values.shape != (len(atoms), 3) or values.dtype.kind not in "fi":
            raise ValueError(f"{expected}; got {name} of shape {values.shape}, {values.dtype}")
        if not np.isfinite(values).all():
            raise ValueError(f"{expected}; got {name} with a number that is not finite")
    return Undisplaced(*(values.astype(np.float64) for values in columns))
