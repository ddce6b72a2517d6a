"""Which atoms OpenMM is to treat as one molecule.

OpenMM finds molecules from the bonds of forces and from constraints. A model has neither, so that every atom would be a
molecule of its own: ``enforcePeriodicBox=True`` and the reporters that use it would tear molecules at the faces
of the box, and barostats would move each atom by itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import openmm

NAME = "bonds without energy"


def keep_whole(system: openmm.System, bonds: Iterable[tuple[int, int]]) -> None:
    """Add a force without energy that bonds pairs of particles; none if there are no bonds."""
    force = openmm.HarmonicBondForce()
    force.setName(NAME)
    force.setUsesPeriodicBoundaryConditions(system.usesPeriodicBoundaryConditions())
    for first, second in bonds:
        force.addBond(first, second, 0.0, 0.0)
    if force.getNumBonds():
        system.addForce(force)
