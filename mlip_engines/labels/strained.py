"""Whether energies and stresses of one crystal, strained in many ways, are each other's derivative.

Where no atom moves but with the cell, the energy of two crystals that differ by a small strain eps differs by the work
V sigma : eps, with the mean of both stresses (the trapezoidal rule, an error of the third order in the strain). What is
left and goes with the volume is a constant pressure that one of the two labels lacks: the Pulay stress, for one, of
plane waves that are cut off too low for the stress (Francis, Payne, J. Phys.: Condens. Matter 2, 4395 (1990)).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from mlip_engines.labels.places import listed
from mlip_engines.units import EV_PER_CUBIC_ANGSTROM_TO_GPA

LARGEST_FORCE = 0.03  # eV/Å; above, atoms have moved against the cell, or want to
LARGEST_FRACTION = (
    0.02  # of a cell vector, by which an atom may be elsewhere in two states of one crystal
)
# Between two states. The trapezoidal rule leaves a term of the third order, of one sign for every pair, that looks like
# a pressure: up to 0.3 GPa at 0.03, and more than 2 at 0.06.
LARGEST_STRAIN = 0.02
LEAST_STATES, MOST_STATES = 10, 150
LEAST_PRESSURE = 0.5  # GPa
LEAST_LEFT = 2e-4  # eV/atom, root mean square; below, rounding of labels decides
LEAST_SHARE = 0.5  # of the root mean square of what is left, that a cause must explain
LARGEST_DEVIATION = 0.2  # of the factor between differences of energies and works from 1


@dataclass(frozen=True)
class Balance:
    """What differences of energies are, beside the works of the stress between the same states."""

    pressure: (
        float  # GPa, to be added to the diagonal of the stress (ASE's sign), the factor being 1
    )
    factor: float  # of the work, the pressure being free
    before: float  # root mean square of energies less works, eV/atom
    after: float  # the same with the pressure
    after_both: float  # with pressure and factor

    @property
    def lacks_pressure(self) -> bool:
        """Whether a constant pressure is what is missing."""
        return (
            not self.is_scaled
            and self.before > LEAST_LEFT
            and abs(self.pressure) >= LEAST_PRESSURE
            and self.after <= LEAST_SHARE * self.before
        )

    @property
    def is_scaled(self) -> bool:
        """Whether the stress has another unit or the other sign."""
        return (
            self.before > LEAST_LEFT
            and abs(self.factor - 1.0) > LARGEST_DEVIATION
            and self.after_both <= LEAST_SHARE * min(self.before, self.after)
        )


def strain_warnings(structures: Sequence[Atoms], names: np.ndarray) -> list[str]:
    """Return a warning for each crystal whose energies and stresses differ by a constant pressure, a unit or a sign.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        With energy and forces and, some of them, stress.
    names : (S,) array of int
        Their indices in their file.
    """
    crystals: dict[bytes, list[int]] = defaultdict(list)
    for k, atoms in enumerate(structures):
        labels = atoms.calc.results
        is_still = np.abs(labels["forces"]).max(initial=0.0) < LARGEST_FORCE
        if is_still and atoms.pbc.all() and "stress" in labels:
            crystals[atoms.numbers.tobytes()].append(k)
    warnings = []
    for states in (same for members in crystals.values() for same in _alike(structures, members)):
        found = balance([structures[k] for k in states[:MOST_STATES]])
        if found is None:
            continue
        which = f"energies and stresses of {listed(names[states])}, one crystal in many strains,"
        if found.is_scaled:
            warnings.append(
                f"{which} do not belong together: energies change by {found.factor:.2g} times the work of the "
                "stress; expected 1: the stress has another unit, or the sign of a pressure"
            )
        elif found.lacks_pressure:
            warnings.append(
                f"{which} differ by a constant pressure: the stress fits to the energies if {found.pressure:.2g} GPa "
                f"are added to its diagonal (root mean square of what is left {1e3 * found.before:.2g} meV/atom "
                f"without, {1e3 * found.after:.2g} with it); the Pulay stress of plane waves cut off too low is one "
                "cause; a loss of both spoils the energies, so correct the stress, or leave it out of the weights"
            )
    return warnings


def balance(states: Sequence[Atoms]) -> Balance | None:
    """Compare differences of energies with works of the stress; None if too few states are near each other.

    Parameters
    ----------
    states : sequence of ase.Atoms
        One crystal in several cells, its atoms at the same fractions of them, with energy and stress.
    """
    size = len(states[0])
    cells = np.stack([a.cell.array for a in states])  # (S, 3, 3), vectors in rows
    volumes = np.array([a.get_volume() for a in states]) / size
    energies = np.array([a.calc.results["energy"] for a in states]) / size
    stresses = np.stack([voigt_6_to_full_3x3_stress(a.calc.results["stress"]) for a in states])
    i, j = np.triu_indices(len(states), k=1)
    displacement = np.linalg.inv(cells)[j] @ cells[i] - np.eye(3)  # (pairs, 3, 3)
    size_of_strain = np.abs(displacement).max(axis=(1, 2))
    near = size_of_strain < LARGEST_STRAIN
    i, j, strain = i[near], j[near], displacement[near]
    strain = strain @ np.linalg.inv(np.eye(3) + 0.5 * strain)  # from the state halfway between both
    strain = 0.5 * (strain + strain.transpose(0, 2, 1))
    mean_stress = 0.5 * (stresses[i] + stresses[j])
    work = 0.5 * (volumes[i] + volumes[j]) * (mean_stress * strain).sum(axis=(1, 2))
    left = energies[i] - energies[j] - work
    change = volumes[i] - volumes[j]
    if len(left) < LEAST_STATES or not change.any():
        return None
    pressure = float(left @ change / (change @ change))  # eV/Å^3
    both = np.stack([change, work], axis=1)
    solution = np.linalg.lstsq(both, left, rcond=None)[0]
    before, after, after_both = (
        float(np.sqrt(np.mean(r**2)))
        for r in (left, left - pressure * change, left - both @ solution)
    )
    return Balance(
        EV_PER_CUBIC_ANGSTROM_TO_GPA * pressure,
        1.0 + float(solution[1]),
        before,
        after,
        after_both,
    )


def _alike(structures: Sequence[Atoms], members: list[int]) -> Iterator[list[int]]:
    """Divide structures of the same atoms into crystals: atoms at the same fractions of the cell."""
    rest = members
    while len(rest) >= LEAST_STATES:
        first = structures[rest[0]].get_scaled_positions()
        same, others = [], []
        for k in rest:
            apart = structures[k].get_scaled_positions() - first
            is_same = np.abs(apart - np.rint(apart)).max() < LARGEST_FRACTION
            (same if is_same else others).append(k)
        if len(same) >= LEAST_STATES:
            yield same
        rest = others
