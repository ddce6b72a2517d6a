"""The composition baseline: energies per element by least squares, and the scale of what is left."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols


def fit_composition(structures: list[Atoms]) -> dict[str, float]:
    """Fit one energy per element to total energies.

    Returns
    -------
    dict of str to float, eV
        Minimum-norm solution, so structures of one composition are no obstacle.
    """
    numbers = sorted({int(z) for atoms in structures for z in atoms.numbers})
    counts = np.array([[(atoms.numbers == z).sum() for z in numbers] for atoms in structures])
    energies = np.array([atoms.get_potential_energy() for atoms in structures])
    solution = np.linalg.lstsq(counts.astype(float), energies, rcond=None)[0]
    return {chemical_symbols[z]: float(e) for z, e in zip(numbers, solution, strict=True)}


def force_scale(structures: list[Atoms]) -> float:
    """Return the RMS force per component, eV/Å; networks are trained in units of it."""
    squares = [np.mean(atoms.get_forces(apply_constraint=False) ** 2) for atoms in structures]
    return float(np.sqrt(np.mean(squares)))
