"""Argon in a small box, its forces from ASE's neighbour list, and its motion in numpy."""

from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.build import bulk
from pair_oracle import pair_sums
from scipy import constants

ARGON = {"cutoff": 6.0, "epsilon": 0.0104, "sigma": 3.4, "curl": 0.004}
MASS = 39.948  # amu
# Å/ps^2 of 1 eV/Å on 1 amu
ACCELERATION = constants.e / constants.atomic_mass * 1e-4


def argon(temperature_shift: float = 0.1, seed: int = 1) -> Atoms:
    """Return 32 atoms off their lattice sites."""
    atoms = bulk("Ar", "fcc", 5.4, cubic=True) * (2, 2, 2)
    atoms.rattle(temperature_shift, seed=seed)
    return atoms


def velocities(n_atoms: int, temperature: float = 60.0, seed: int = 2) -> np.ndarray:
    """Return velocities (N, 3) in Å/ps without a net momentum."""
    kT = constants.k * temperature / constants.e  # eV
    drawn = np.random.default_rng(seed).normal(size=(n_atoms, 3))
    return (drawn - drawn.mean(axis=0)) * np.sqrt(kT * ACCELERATION / MASS)


def both_forces(atoms: Atoms, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return conservative and non-conservative forces, eV/Å, the latter without their mean."""
    moved = atoms.copy()
    moved.positions = positions
    _, conservative, direct = pair_sums(moved, **ARGON)
    return conservative, direct - direct.mean(axis=0)


def respa(
    atoms: Atoms,
    start: np.ndarray,
    outer_step: float,
    inner_steps: int,
    n_steps: int,
    other: Callable[[np.ndarray], np.ndarray] = np.zeros_like,
) -> tuple[np.ndarray, np.ndarray]:
    """Textbook r-RESPA: positions (Å) and velocities (Å/ps) after ``n_steps`` outer steps (ps).

    With one inner step this is not taken: :func:`velocity_verlet` never sees the direct forces.
    """
    x, v = atoms.positions.copy(), start.copy()
    h = outer_step / inner_steps
    scale = ACCELERATION / MASS
    for _ in range(n_steps):
        c, d = both_forces(atoms, x)
        v += 0.5 * outer_step * scale * (c - d)
        for _ in range(inner_steps):
            v += 0.5 * h * scale * (both_forces(atoms, x)[1] + other(x))
            x += h * v
            v += 0.5 * h * scale * (both_forces(atoms, x)[1] + other(x))
        c, d = both_forces(atoms, x)
        v += 0.5 * outer_step * scale * (c - d)
    return x, v


def velocity_verlet(
    atoms: Atoms, start: np.ndarray, time_step: float, n_steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Conservative velocity Verlet: positions (Å) and velocities (Å/ps)."""
    x, v = atoms.positions.copy(), start.copy()
    scale = ACCELERATION / MASS
    for _ in range(n_steps):
        v += 0.5 * time_step * scale * both_forces(atoms, x)[0]
        x += time_step * v
        v += 0.5 * time_step * scale * both_forces(atoms, x)[0]
    return x, v
