"""The one form in which every reader returns a structure."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import ArrayLike


def with_labels(
    atoms: Atoms,
    *,
    energy: float | None = None,
    forces: ArrayLike | None = None,
    stress: ArrayLike | None = None,
) -> Atoms:
    """Attach labels to a structure, in place of whatever calculator it has; None where there is no label.

    Parameters
    ----------
    atoms : ase.Atoms
    energy : float, eV
    forces : (N, 3) array, eV/Å
        A single atom with an energy has zero forces, whether they are given or not: it has nothing to feel.
    stress : (3, 3) or (6,) array, eV/Å^3
        ASE's sign, +(1/V) dE/d(strain), and ASE's order xx, yy, zz, yz, xz, xy.

    Returns
    -------
    ase.Atoms
        The same object, with a ``SinglePointCalculator`` of ``energy``, ``forces`` and ``stress`` (6,), or without a
        calculator if it has none of them.

    Raises
    ------
    ValueError
        If a label has another shape.
    """
    labels: dict[str, float | np.ndarray] = {}
    if energy is not None:
        value = np.asarray(energy, dtype=np.float64)
        if value.size != 1:
            raise ValueError(f"expected one energy, got {value.size}")
        labels["energy"] = float(value.reshape(()))
    if forces is None and energy is not None and len(atoms) == 1:
        forces = np.zeros((1, 3))
    if forces is not None:
        labels["forces"] = np.asarray(forces, dtype=np.float64)
        if labels["forces"].shape != (len(atoms), 3):
            raise ValueError(
                f"expected forces of shape {(len(atoms), 3)}, got {labels['forces'].shape}"
            )
    if stress is not None:
        value = np.asarray(stress, dtype=np.float64)
        if value.shape not in ((6,), (9,), (3, 3)):
            raise ValueError(f"expected stress of shape (3, 3) or (6,), got {value.shape}")
        is_voigt = value.size == 6
        labels["stress"] = value if is_voigt else full_3x3_to_voigt_6_stress(value.reshape(3, 3))
    atoms.calc = SinglePointCalculator(atoms, **labels) if labels else None
    return atoms
