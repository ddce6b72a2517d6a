"""The space group of a crystal, found by spglib within a tolerance."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

TOLERANCES = (0.01, 0.1)  # Å


class SpaceGroup(NamedTuple):
    """A space group, and how many symmetry operations the cell of the structure has."""

    symbol: str  # such as Fm-3m
    number: int  # 1 to 230
    n_operations: int

    def __str__(self) -> str:
        return f"{self.symbol} ({self.number})"


def can_find_space_groups() -> bool:
    """Whether spglib is installed."""
    return importlib.util.find_spec("spglib") is not None


def space_group(atoms: Atoms, tolerance: float) -> SpaceGroup | None:
    """Return the space group of a structure that is periodic in three directions, else None.

    Parameters
    ----------
    atoms : ase.Atoms
    tolerance : float, Å
        How far an atom may be from where a symmetry operation wants it.

    Returns
    -------
    SpaceGroup or None
        None also if spglib finds no symmetry at all within the tolerance, as when atoms are closer than it.
    """
    if not atoms.pbc.all():
        return None
    found = _dataset(atoms, tolerance)
    if found is None:
        return None
    return SpaceGroup(found.international, int(found.number), len(found.rotations))


def point_group(atoms: Atoms, tolerance: float) -> list[NDArray[np.float64]]:
    """Return the rotations and reflections of a crystal as Cartesian matrices (3, 3); at least the identity.

    They act on columns: x goes to R x.
    """
    found = _dataset(atoms, tolerance)
    if found is None:
        return [np.eye(3)]
    lattice = atoms.cell.array.T
    unique = {rotation.tobytes(): rotation for rotation in found.rotations}
    return [lattice @ rotation @ np.linalg.inv(lattice) for rotation in unique.values()]


def _dataset(atoms: Atoms, tolerance: float) -> Any:
    import spglib

    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # spglib tells of every cell of which it finds nothing
        try:
            return spglib.get_symmetry_dataset(cell, symprec=tolerance)
        except spglib.SpglibError:
            return None
