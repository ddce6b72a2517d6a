"""Argon for dynamics through LAMMPS, with the model `argon` of conftest.py."""

import ase.units
import numpy as np
from ase import Atoms
from ase.build import bulk


def argon(temperature: float = 80.0, size: int = 3) -> Atoms:
    """A warm, slightly disordered crystal with velocities."""
    atoms = bulk("Ar", a=5.3, cubic=True).repeat(size)
    generator = np.random.default_rng(7)
    atoms.rattle(0.1, rng=generator)
    width = np.sqrt(ase.units.kB * temperature / atoms.get_masses())[:, None]
    velocities = width * generator.standard_normal((len(atoms), 3))
    atoms.set_velocities(velocities - velocities.mean(axis=0))
    return atoms
