"""How much a structure counts in a loss, as its file says it: ``config_weight`` and its kin."""

from __future__ import annotations

import math

from ase import Atoms

WEIGHT = "config_weight"
OF_LABELS = ("config_energy_weight", "config_forces_weight", "config_stress_weight")


def config_weights(atoms: Atoms) -> tuple[float, float, float]:
    """Return the weights of energy, forces and stress of a structure; 1 where its file says nothing.

    ``config_weight`` is a factor on all three, ``config_energy_weight``, ``config_forces_weight`` and
    ``config_stress_weight`` are on one each.

    Raises
    ------
    ValueError
        If one is not a number, not finite or negative.
    """
    whole, *each = (_weight(atoms, key) for key in (WEIGHT, *OF_LABELS))
    energy, forces, stress = (whole * value for value in each)
    return energy, forces, stress


def _weight(atoms: Atoms, key: str) -> float:
    given = atoms.info.get(key, 1.0)
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value >= 0.0):
        raise ValueError(f"expected {key} of at least 0, got {given!r}")
    return value
