"""The composition baseline: energies per element by least squares, and the scale of what is left."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols


def fit_composition(structures: Iterable[Atoms]) -> dict[str, float]:
    """Fit one energy per element to total energies.

    Returns
    -------
    dict of str to float, eV
        Minimum-norm solution, so structures of one composition are no obstacle.
    """
    rows, energies = [], []
    for atoms in structures:
        rows.append(np.bincount(atoms.numbers, minlength=len(chemical_symbols)))
        energies.append(atoms.get_potential_energy())
    counts = np.array(rows)
    numbers = np.flatnonzero(counts.any(axis=0))
    counts = counts[:, numbers]
    solution = np.linalg.lstsq(counts.astype(float), energies, rcond=None)[0]
    return {chemical_symbols[z]: float(e) for z, e in zip(numbers, solution, strict=True)}


def force_scale(structures: Iterable[Atoms]) -> float:
    """Return the RMS force per component, eV/Å; networks are trained in units of it."""
    squares = [np.mean(atoms.get_forces(apply_constraint=False) ** 2) for atoms in structures]
    return float(np.sqrt(np.mean(squares)))
