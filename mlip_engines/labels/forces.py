"""What may be wrong with labels of forces: outliers, their unit, and whether they belong to the energies."""

from __future__ import annotations

import ase.units
import numpy as np
from ase import Atoms

from mlip_engines.labels.places import listed
from mlip_engines.units import EV_TO_KCAL_PER_MOL, EV_TO_KJ_PER_MOL

LARGEST_FORCE = 30.0  # eV/Å
PLAUSIBLE_FORCES = (
    0.02,
    15.0,
)  # eV/Å, RMS per component of a set that is neither relaxed nor on fire
# Sum of the forces over that of independent ones; the set of water of Cheng et al., which is known for it, has 0.02.
LARGEST_NET_FORCE = 0.2
LEAST_SHARE = 0.02  # of the structures

_FORCE_UNITS = {
    "hartree/bohr": ase.units.Bohr / ase.units.Hartree,
    "kcal/mol/Å": EV_TO_KCAL_PER_MOL,
    "kJ/mol/Å": EV_TO_KJ_PER_MOL,
    "kJ/mol/nm": 10.0 * EV_TO_KJ_PER_MOL,
    "meV/Å": 1000.0,
    "eV/Å, but the energies like hartree": ase.units.Hartree,
    "eV/Å, but of the gradient, which has the other sign": -1.0,
}  # 1 eV/Å in other units


def force_warnings(structures: list[Atoms], names: np.ndarray) -> list[str]:
    """Return warnings about outliers and the unit; ``names`` are the indices of the structures in their file."""
    forces = [atoms.calc.results["forces"] for atoms in structures]
    largest = np.array([np.abs(f).max() for f in forces])
    warnings = []
    outliers = np.flatnonzero(largest > LARGEST_FORCE)
    if len(outliers):
        outliers = outliers[np.argsort(-largest[outliers], kind="stable")]
        warnings.append(
            f"{listed(names[outliers])} have a force component of more than {LARGEST_FORCE:g} eV/Å, "
            f"up to {largest.max():.4g}; check whether they are intended"
        )
    # The median: a few frames on fire do not make the units wrong.
    rms = float(np.median([np.sqrt(np.mean(f**2)) for f in forces]))
    if not PLAUSIBLE_FORCES[0] <= rms <= PLAUSIBLE_FORCES[1]:
        likely = "hartree/bohr" if rms < PLAUSIBLE_FORCES[0] else "kcal/mol/Å or kJ/mol/nm"
        warnings.append(
            f"the typical RMS force is {rms:.2g} eV/Å; are the forces in {likely}, or all structures relaxed?"
        )
    return warnings


def net_force_warnings(structures: list[Atoms], names: np.ndarray) -> list[str]:
    """Compare the sums of the forces, which are zero without an external field, with what independent ones sum to.

    Errors of a calculation make a few per cent of that. Atoms that were held, whose forces are missing or zero, and
    forces of a part of a system make all of it.
    """
    ratios = np.full(len(structures), np.nan)
    for k, atoms in enumerate(structures):
        forces = atoms.calc.results["forces"]
        rms = float(np.sqrt(np.mean(forces**2)))
        # a force that is far too large is named by itself
        is_on_fire = np.abs(forces).max() > LARGEST_FORCE
        if len(atoms) > 1 and rms > PLAUSIBLE_FORCES[0] and not is_on_fire:
            ratios[k] = np.linalg.norm(forces.sum(axis=0)) / (rms * np.sqrt(3.0 * len(atoms)))
    large = np.flatnonzero(np.nan_to_num(ratios) > LARGEST_NET_FORCE)
    if len(large) < max(2.0, LEAST_SHARE * np.isfinite(ratios).sum()):
        return []
    large = large[np.argsort(-ratios[large], kind="stable")]
    return [
        f"the forces of {listed(names[large])} do not sum to zero: the sum is up to {ratios[large[0]]:.2g} of what "
        "independent forces would have; are forces of held atoms missing, is there an external field, or are the "
        "structures parts of larger ones? A conservative model cannot learn such a sum"
    ]


def consistency_warnings(structures: list[Atoms]) -> list[str]:
    """Compare energy differences with the work of the forces between frames that follow closely on each other."""
    work, difference = [], []
    for one, two in zip(structures, structures[1:], strict=False):
        is_same = (
            len(one) == len(two)
            and (one.numbers == two.numbers).all()
            and np.allclose(one.cell.array, two.cell.array)
        )
        if not is_same:
            continue
        step = two.positions - one.positions  # (N, 3)
        if not 0.0 < np.abs(step).max() < 0.2:
            continue
        mean = 0.5 * (one.calc.results["forces"] + two.calc.results["forces"])
        work.append(-np.sum(mean * step))
        difference.append(two.calc.results["energy"] - one.calc.results["energy"])
    if len(work) < 10:
        return []
    work, difference = np.array(work), np.array(difference)
    norm = np.linalg.norm(work) * np.linalg.norm(difference)
    correlation = float(work @ difference / norm) if norm > 0.0 else 0.0
    # Without a clear proportionality the steps are too long, or the forces are of something else.
    if abs(correlation) < 0.95:
        return []
    factor = float(work @ work / (work @ difference))  # forces as given / forces that fit
    if 0.8 < factor < 1.25:
        return []
    matches = [name for name, value in _FORCE_UNITS.items() if 0.9 < factor / value < 1.1]
    hint = f"they look like {matches[0]}" if matches else "energy and forces are in different units"
    return [
        f"the forces are {factor:.3g} times the slope of the energy between neighbouring frames; {hint}"
    ]
