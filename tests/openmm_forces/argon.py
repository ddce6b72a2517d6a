"""Argon in a small box, its forces from ASE's neighbour list, and its motion in numpy."""

import functools

import numpy as np
from ase import Atoms
from ase.build import bulk
from scipy import constants

from pair_oracle import pair_sums

ARGON = {"cutoff": 6.0, "epsilon": 0.0104, "sigma": 3.4, "curl": 0.004}
MASS = 39.948  # g/mol, ASE's
# Å/ps^2 of 1 eV/Å on 1 g/mol: OpenMM's unit of mass
ACCELERATION = constants.e * constants.N_A * 0.1


def argon(seed: int = 1) -> Atoms:
    """Return 32 atoms off their lattice sites."""
    atoms = bulk("Ar", "fcc", 5.4, cubic=True) * (2, 2, 2)
    atoms.rattle(0.1, seed=seed)
    return atoms


def velocities(n_atoms: int, temperature: float = 60.0, seed: int = 2) -> np.ndarray:
    """Return velocities (N, 3) in Å/ps without a net momentum."""
    kT = constants.k * temperature / constants.e  # eV
    drawn = np.random.default_rng(seed).normal(size=(n_atoms, 3))
    return (drawn - drawn.mean(axis=0)) * np.sqrt(kT * ACCELERATION / MASS)


def both_forces(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return conservative and non-conservative forces, eV/Å, the latter without their mean."""
    atoms = argon()
    atoms.positions = positions
    _, conservative, direct = pair_sums(atoms, **ARGON)
    return conservative, direct - direct.mean(axis=0)


@functools.cache
def respa(
    outer_step: float, inner_steps: int, n_steps: int, seed: int = 1, restraint: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Textbook r-RESPA from ``argon(seed)``: positions (Å) and velocities (Å/ps) at the end.

    Steps are in ps; ``restraint`` in eV/Å^2 pulls every atom back to its start.
    """
    x = argon(seed).positions
    v = velocities(len(x))
    start, h, scale = x.copy(), outer_step / inner_steps, ACCELERATION / MASS
    conservative, direct = both_forces(x)
    for _ in range(n_steps):
        v += 0.5 * outer_step * scale * (conservative - direct)
        for _ in range(inner_steps):
            v += 0.5 * h * scale * (direct - restraint * (x - start))
            x += h * v
            conservative, direct = both_forces(x)
            v += 0.5 * h * scale * (direct - restraint * (x - start))
        v += 0.5 * outer_step * scale * (conservative - direct)
    return x, v


@functools.cache
def velocity_verlet(time_step: float, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Conservative velocity Verlet from ``argon()``: positions (Å) and velocities (Å/ps)."""
    x = argon().positions
    v = velocities(len(x))
    scale = ACCELERATION / MASS
    forces = both_forces(x)[0]
    for _ in range(n_steps):
        v += 0.5 * time_step * scale * forces
        x += time_step * v
        forces = both_forces(x)[0]
        v += 0.5 * time_step * scale * forces
    return x, v
