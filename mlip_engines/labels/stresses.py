"""What may be wrong with labels of stress: missing ones, their sign, their unit."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from mlip_engines.labels.places import listed
from mlip_engines.readers.ase_file import VIRIAL_KEYS
from mlip_engines.units import EV_PER_CUBIC_ANGSTROM_TO_GPA

NEAR_VOLUMES = 0.12  # fraction of the median volume per atom
PLAUSIBLE_BULK_MODULI = (0.05, 1000.0)  # GPa; solid argon has 2, diamond 440


def stress_warnings(
    structures: list[Atoms], names: np.ndarray, *, with_trend: bool = True
) -> list[str]:
    """Return warnings about labels of stress.

    Parameters
    ----------
    structures : list of ase.Atoms
    names : (S,) array of int
        Their indices in their file.
    with_trend : bool
        Whether sign and unit are judged by how stress goes with the volume; not needed where the forces have told.
    """
    has_stress = np.array(["stress" in atoms.calc.results for atoms in structures])
    is_periodic = np.array([atoms.pbc.all() for atoms in structures])
    warnings = []
    if has_stress.any():
        lacking, unused = (
            np.flatnonzero(mask) for mask in (~has_stress & is_periodic, has_stress & ~is_periodic)
        )
        if len(lacking):
            warnings.append(
                f"{listed(names[lacking])} of {len(structures)} lack a label of stress that others have; "
                "a loss that uses stress leaves them out"
            )
        if len(unused):
            warnings.append(
                f"{listed(names[unused])} have a label of stress and are not periodic in all three directions; it is "
                "not used"
            )
    found = {k for atoms in structures for k in atoms.info if k.startswith("virial")}
    keys, other_keys = sorted(found & {*VIRIAL_KEYS}), sorted(found - {*VIRIAL_KEYS})
    if other_keys and not has_stress.any():
        warnings.append(f"{other_keys} is not read; virial=... would be, as -dE/d(strain) in eV")
    if keys and has_stress.any():
        warnings.append(
            f"{keys[0]}=... is read as -dE/d(strain) in eV, where no stress is given; codes do not agree on the sign "
            "of a virial: if yours has the other, write stress=... in eV/Å^3, positive if the cell wants to shrink"
        )
    used = [
        a for a, has, full in zip(structures, has_stress, is_periodic, strict=True) if has and full
    ]
    return [*warnings, *_bulk_modulus_warnings(used)] if with_trend else warnings


def _bulk_modulus_warnings(structures: list[Atoms]) -> list[str]:
    """Compare stress and volume of structures of one composition: B = d(mean stress) / d(ln V) is positive."""
    groups: dict[tuple[float, ...], list[Atoms]] = {}
    for atoms in structures:
        counts = np.bincount(atoms.numbers, minlength=119) / len(atoms)
        groups.setdefault(tuple(counts.round(6)), []).append(atoms)
    largest = max(groups.values(), key=len, default=[])
    if len(largest) < 10:
        return []
    volume = np.array([atoms.get_volume() / len(atoms) for atoms in largest])
    # Surfaces and vacancies have volume without stress.
    near = np.abs(volume / np.median(volume) - 1.0) < NEAR_VOLUMES
    largest = [atoms for atoms, is_near in zip(largest, near, strict=True) if is_near]
    if len(largest) < 10:
        return []
    log_volume = np.log([atoms.get_volume() / len(atoms) for atoms in largest])
    mean_stress = np.array([atoms.calc.results["stress"][:3].mean() for atoms in largest])
    if log_volume.std() < 0.005 or mean_stress.std() == 0.0:
        return []
    # Without a clear trend it is something else than the volume that makes the stress.
    if abs(np.corrcoef(log_volume, mean_stress)[0, 1]) < 0.7:
        return []
    modulus = EV_PER_CUBIC_ANGSTROM_TO_GPA * np.polyfit(log_volume, mean_stress, 1)[0]  # GPa
    if modulus < 0.0:
        return [
            "the stress falls as the volume grows; it should rise: positive stress, as ASE has it, is of a cell that "
            "wants to shrink, and a virial or a pressure has the other sign"
        ]
    low, high = PLAUSIBLE_BULK_MODULI
    if not low <= modulus <= high:
        return [
            f"stress and volume make a bulk modulus of {modulus:.3g} GPa, expected {low:g} to {high:g}; is the stress "
            "in eV/Å^3, and not in GPa, kbar, or times the volume?"
        ]
    return []
