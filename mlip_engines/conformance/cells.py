"""Structures without a cell, for calculators that need one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ase import Atoms


def in_a_cell(atoms: Atoms, vacuum: float) -> Atoms:
    """Return a copy that is periodic in all directions, with vacuum where it was not.

    Parameters
    ----------
    vacuum : float, Å
        On each side; with at least half the reach of a model, images do not see each other.
    """
    boxed = atoms.copy()
    for axis in range(3):
        if not boxed.pbc[axis]:
            boxed.center(vacuum=vacuum, axis=axis)
    boxed.pbc = True
    return boxed
