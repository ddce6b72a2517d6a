"""The errors of a constant: what has learned something must be better than no forces and an energy per element."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mlip_engines.units import MEV_PER_EV
from mlip_train.data.structure import TrainingStructure

LITTLE = 0.9  # of the error of a constant: above that nearly nothing has been learned
_TITLES = {"energy": "energies", "conservative": "forces", "stress": "stresses"}


def constant_errors(structures: Sequence[TrainingStructure], baseline: Tensor) -> dict[str, float]:
    """Return the MAE of the reference energies alone, with no forces and no stress.

    Parameters
    ----------
    structures : sequence of TrainingStructure
        Each counts for the labels that it has.
    baseline : (119,) tensor, eV

    Returns
    -------
    dict of str to float
        ``energy_mae`` (meV/atom), ``conservative_mae`` (meV/Å) and, where there is one, ``stress_mae`` (meV/Å^3), the
        last two per component.
    """
    energies, forces, stresses = [], [], []
    for item in structures:
        if item.energy is not None:
            above = item.energy - float(baseline[item.atomic_numbers].sum())
            energies.append(abs(above) / len(item.atomic_numbers))
        if item.forces is not None:
            forces.append(item.forces.double().abs().flatten())
        if item.stress is not None:
            stresses.append(item.stress.abs().mean())
    errors = {}
    if energies:
        errors["energy_mae"] = MEV_PER_EV * sum(energies) / len(energies)
    if forces:
        errors["conservative_mae"] = MEV_PER_EV * float(torch.cat(forces).mean())
    if stresses:
        errors["stress_mae"] = MEV_PER_EV * float(torch.stack(stresses).mean())
    return errors


def little_learned(errors: dict[str, float], constant: dict[str, float]) -> list[str]:
    """Return a sentence for each quantity in which a network is hardly better than a constant."""
    return [
        f"the error of {title} on the test split is {errors[name]:.1f}, that of a constant {constant[name]:.1f}: "
        "nearly nothing has been learned of them"
        for key, title in _TITLES.items()
        if (name := f"{key}_mae") in errors
        and name in constant
        and errors[name] > LITTLE * constant[name]
    ]
