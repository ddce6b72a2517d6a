"""Crystals of an element in several structures, for the training and for the relaxations of symmetry_breaking.py."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk

# Å: a, or a and c, near the minimum of PBE. "halfway" is between diamond and beta-tin, which differ in c/a alone.
LATTICES = {
    "Cu": {"fcc": (3.61,), "bcc": (2.87,), "hcp": (2.555, 4.17)},
    "Ni": {"fcc": (3.52,), "bcc": (2.80,), "hcp": (2.49, 4.07)},
    "Si": {"diamond": (5.46,), "beta-tin": (4.81, 2.65), "halfway": (4.33, 4.05)},
}


def element_crystal(element: str, structure: str) -> Atoms:
    """Return a cell of two to eight atoms with its cube, square or hexagon along the axes.

    Parameters
    ----------
    element, structure : str
        As in ``LATTICES``.
    """
    lattice = LATTICES[element][structure]
    if structure in ("beta-tin", "halfway"):
        return tetragonal(element, *lattice)
    if structure == "hcp":
        return bulk(element, "hcp", a=lattice[0], c=lattice[1])
    return bulk(element, structure, a=lattice[0], cubic=True)


def tetragonal(element: str, a: float, c: float) -> Atoms:
    """Return the four atoms of the structure of white tin, I4_1/amd; with c = sqrt(2) a it is diamond."""
    places = [(0.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.0, 0.5, 0.25), (0.5, 0.0, 0.75)]
    return Atoms([element] * 4, scaled_positions=places, cell=np.diag([a, a, c]), pbc=True)
