"""Whether energies, forces and stresses of a set can belong together: their units, their signs, one method for all.

The forces are the judge. A pair potential that is fitted to them (:mod:`mlip_engines.labels.pair_potential`) says what
the energies of structures of one composition differ by, and what their stress is, within a factor of two or three.
Wrong units are a factor of ten or more, a wrong sign is -1. Where the potential does not go with the labels, nothing is
said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ase.units
import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from mlip_engines.labels.pair_potential import PairPrediction, predict_from_forces
from mlip_engines.labels.places import listed
from mlip_engines.units import (
    EV_PER_CUBIC_ANGSTROM_TO_GPA,
    EV_TO_KCAL_PER_MOL,
    EV_TO_KJ_PER_MOL,
)

LEAST_CORRELATION = 0.6  # below, the potential says nothing about a label
LEAST_STRUCTURES = 10
LARGEST_FACTOR = 5.0  # of energies; good sets are between 0.6 and 2.4
LARGEST_STRESS_FACTOR = 4.0  # good sets are between 0.6 and 1.9
NAMED_WITHIN = 3.0  # a unit is named if the factor is its own within this

NEARLY_AS_GOOD = 0.7  # of the logarithm of a factor

# Two methods in one set: groups of energies that nothing lies between.
LEAST_GAP = 0.1  # eV per atom; the slabs and vacancies of one method come near it
LEAST_SEPARATION = 2.5  # gap over the spread in the wider group; good sets stay below 1.6, or MOST_ALIKE tells them
LEAST_SHARE = 0.05
MOST_ALIKE = (
    0.15,
    0.85,
)  # how often one group has more neighbours, or a higher expected energy, than the other

_ENERGY_FACTORS = {
    "the energies in hartree": 1.0 / ase.units.Hartree,
    "the energies in kcal/mol": EV_TO_KCAL_PER_MOL,
    "the energies in kJ/mol": EV_TO_KJ_PER_MOL,
    "the energies in meV": 1000.0,
    "the forces in hartree/bohr": ase.units.Hartree / ase.units.Bohr,
    "the forces in kcal/mol/Å": 1.0 / EV_TO_KCAL_PER_MOL,
    "the forces in kJ/mol/nm": 0.1 / EV_TO_KJ_PER_MOL,
}  # energies as given, over those that fit to the forces


@dataclass(frozen=True)
class Comparison:
    """How labels go with what the forces say."""

    correlation: float
    factor: float  # label over prediction, positive

    @property
    def is_clear(self) -> bool:
        """Whether it says anything."""
        return abs(self.correlation) >= LEAST_CORRELATION


def agreement_warnings(
    structures: Sequence[Atoms], names: np.ndarray, *, with_energies: bool = True
) -> tuple[list[str], bool]:
    """Return warnings, and whether it is settled what unit and sign the stress has.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        With energy, forces and, some of them, stress.
    names : (S,) array of int
        Their indices in their file.
    with_energies : bool
        Whether the unit of the energies is asked for.
    """
    prediction = predict_from_forces(structures) if structures else None
    if prediction is None or len(prediction.indices) < LEAST_STRUCTURES:
        return [], False
    chosen = [structures[k] for k in prediction.indices]
    groups = _compositions(chosen)
    energies = np.array([a.calc.results["energy"] for a in chosen]) / _sizes(chosen)
    expected = prediction.energies / _sizes(chosen)
    known = _within(groups, energies), _within(groups, expected)
    warnings = []
    if with_energies and len(known[0]) >= LEAST_STRUCTURES:
        warnings += _energy_warnings(_compared(*known))
    if not warnings:
        members = _members(groups)
        warnings += _mixture_warnings(
            *known, prediction.neighbors[members], names[prediction.indices[members]]
        )
    stress, is_settled = _stress_warnings(chosen, groups, prediction)
    return warnings + stress, is_settled


def _energy_warnings(found: Comparison) -> list[str]:
    if not found.is_clear:
        return []
    if found.correlation < 0.0:
        return [
            "the energies rise where the forces push; are the forces those of the gradient, which has the other sign?"
        ]
    if 1.0 / LARGEST_FACTOR < found.factor < LARGEST_FACTOR:
        return []
    likely = [
        name
        for name, factor in _ENERGY_FACTORS.items()
        if 1.0 / NAMED_WITHIN < found.factor / factor < NAMED_WITHIN
    ]
    question = f"are {' or '.join(likely)}?" if likely else "are both in eV and Å?"
    return [
        "energies of structures of one composition differ by about "
        f"{found.factor:.2g} times what the forces make of their distances, expected about 1; {question}"
    ]


def _mixture_warnings(
    energies: np.ndarray, expected: np.ndarray, neighbors: np.ndarray, names: np.ndarray
) -> list[str]:
    """Find two groups of energies, per atom and within a composition, that differ by more than structures do."""
    least = max(5, round(LEAST_SHARE * len(energies)))
    if len(energies) < 4 * least:
        return []
    residual = _least_absolute(energies, expected, neighbors)
    order = np.argsort(residual, kind="stable")
    values = residual[order]
    best, split, gap = 0.0, 0, 0.0
    for k in range(least, len(values) - least + 1):
        low, high = values[:k], values[k:]
        spread = max(1.4826 * np.median(np.abs(v - np.median(v))) for v in (low, high))
        width = float(np.quantile(high, 0.05) - np.quantile(low, 0.95))
        if width / (spread + 1e-3) > best:
            best, split, gap = width / (spread + 1e-3), k, width
    if best < LEAST_SEPARATION or gap < LEAST_GAP:
        return []
    low, high = order[:split], order[split:]
    # Surfaces and crystals are two groups as well, but of different geometry.
    for geometry in (expected, neighbors):
        one, two = geometry[high][:, None], geometry[low]
        above = np.mean((one > two) + 0.5 * (one == two))
        if not MOST_ALIKE[0] < above < MOST_ALIKE[1]:
            return []
    fewer = low if len(low) < len(high) else high
    shift = abs(np.median(residual[high]) - np.median(residual[low]))
    return [
        f"the energies form two groups {shift:.3g} eV per atom apart, which the forces do not explain: "
        f"{listed(np.sort(names[fewer]))} of {len(energies)} looked at are in the smaller; are two methods, "
        "functionals or charges mixed?"
    ]


def _least_absolute(
    energies: np.ndarray, expected: np.ndarray, neighbors: np.ndarray
) -> np.ndarray:
    """Return what the expected energy and the number of neighbours do not explain of energies (S,), eV per atom.

    A fit of least absolute deviations, which a group of others does not pull away, by iterated weights (Schlossmacher,
    J. Am. Stat. Assoc. 68, 857 (1973)). The number of neighbours tells surfaces from crystals, of which a pair
    potential knows little.
    """
    features = np.c_[expected, neighbors - np.median(neighbors), np.ones(len(energies))]
    residual, weights = energies, np.ones(len(energies))
    for _ in range(60):
        root = np.sqrt(weights)
        solution = np.linalg.lstsq(features * root[:, None], energies * root, rcond=None)[0]
        residual = energies - features @ solution
        weights = 1.0 / np.maximum(np.abs(residual), 1e-3)
    return residual


def _stress_warnings(
    structures: list[Atoms], groups: np.ndarray, prediction: PairPrediction
) -> tuple[list[str], bool]:
    has = np.array([bool(a.pbc.all()) and "stress" in a.calc.results for a in structures])
    if has.sum() < LEAST_STRUCTURES:
        return [], False
    used = [a for a, chosen in zip(structures, has, strict=True) if chosen]
    groups, expected, sizes = groups[has], prediction.virials[has], _sizes(used)
    volumes = np.array([a.get_volume() for a in used])
    stresses = np.stack([voigt_6_to_full_3x3_stress(a.calc.results["stress"]) for a in used])

    def compared(factors: np.ndarray) -> Comparison:
        labels = stresses * (volumes / factors / sizes)[:, None, None]
        predicted = expected / sizes[:, None, None]
        shear = _compared(_shear(labels), _shear(predicted))
        traces = [_within(groups, np.trace(t, axis1=1, axis2=2)) for t in (labels, predicted)]
        if len(traces[0]) < LEAST_STRUCTURES:
            return shear
        pressure = _compared(*traces)
        return max(shear, pressure, key=lambda each: abs(each.correlation))

    ones = np.ones(len(used))
    found = compared(ones)
    fits = 1.0 / LARGEST_STRESS_FACTOR < found.factor < LARGEST_STRESS_FACTOR
    if found.is_clear and found.correlation > 0.0 and fits:
        return [], True
    candidates = {
        "in eV/Å^3": ones,
        "in GPa": EV_PER_CUBIC_ANGSTROM_TO_GPA * ones,
        "in kbar": 10.0 * EV_PER_CUBIC_ANGSTROM_TO_GPA * ones,
        "times the volume, in eV": volumes,
    }
    tried = {name: compared(factors) for name, factors in candidates.items()}
    likely = {
        name: each
        for name, each in tried.items()
        if each.is_clear and 1.0 / NAMED_WITHIN < each.factor < NAMED_WITHIN
    }
    if likely:
        # The best, and others that are hardly worse: a volume may be as large a factor as a unit.
        error = {name: abs(np.log(each.factor)) for name, each in likely.items()}
        first = min(likely, key=error.__getitem__)
        named = [name for name in likely if error[name] < error[first] + NEARLY_AS_GOOD]
        name = " or ".join(named)
        sign = " of the other sign" if likely[first].correlation < 0.0 else ""
    elif found.is_clear:
        name = f"{found.factor:.3g} times too large"
        sign = " and of the other sign" if found.correlation < 0.0 else ""
    else:
        return [], False
    return [
        f"the stress does not go with the forces: it looks like one{sign} {name}; expected eV/Å^3, positive if the "
        "cell wants to shrink, as ASE has it (a virial or a pressure has the other sign)"
    ], True


def _sizes(structures: Sequence[Atoms]) -> np.ndarray:
    return np.array([len(atoms) for atoms in structures], dtype=float)


def _compositions(structures: Sequence[Atoms]) -> np.ndarray:
    """Return a number (S,) for each structure, the same for those of one composition."""
    counts = np.array([np.bincount(a.numbers, minlength=119) / len(a) for a in structures])
    return np.unique(counts.round(4), axis=0, return_inverse=True)[1].ravel()


def _members(groups: np.ndarray) -> np.ndarray:
    """Return which structures have at least two others of their composition."""
    return np.bincount(groups)[groups] > 2


def _within(groups: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return values above the median of their composition, of structures that are not alone in it."""
    above = values.astype(float).copy()
    for group in np.unique(groups):
        above[groups == group] -= np.median(above[groups == group])
    return above[_members(groups)]


def _shear(tensors: np.ndarray) -> np.ndarray:
    """Return the five components of each symmetric tensor (S, 3, 3) that are not its trace, as (5S,)."""
    xx, yy, zz = (tensors[:, k, k] for k in range(3))
    others = [tensors[:, 1, 2], tensors[:, 0, 2], tensors[:, 0, 1]]
    return np.concatenate([*others, (xx - yy) / 2.0, (xx + yy - 2.0 * zz) / 12.0**0.5])


def _compared(labels: np.ndarray, predicted: np.ndarray) -> Comparison:
    """Compare two sets of numbers, without the extremes of either."""
    clipped = [np.clip(v, *np.quantile(v, [0.05, 0.95])) for v in (labels, predicted)]
    deviations = [float(v.std()) for v in clipped]
    if min(deviations) == 0.0:
        return Comparison(0.0, 1.0)
    correlation = float(np.corrcoef(*clipped)[0, 1])
    return Comparison(correlation, deviations[0] / deviations[1])
