"""Whether energies and stresses of one crystal, strained in many ways, are each other's derivative.

Where no atom moves but with the cell, the energy of two crystals that differ by a small strain eps differs by the work
V sigma : eps, with the mean of both stresses (the trapezoidal rule, an error of the third order in the strain). What is
left and goes with the volume is a constant pressure that one of the two labels lacks: the Pulay stress, for one, of
plane waves that are cut off too low for the stress (Francis, Payne, J. Phys.: Condens. Matter 2, 4395 (1990)).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from mlip_engines.labels.places import listed
from mlip_engines.units import EV_PER_CUBIC_ANGSTROM_TO_GPA

LARGEST_FORCE = 0.03  # eV/Å; above, atoms have moved against the cell, or want to
LARGEST_FRACTION = (
    0.02  # of a cell vector, by which an atom may be elsewhere in two states of one crystal
)
LARGEST_STRAIN = 0.06  # between two states; the trapezoidal rule needs small ones
LEAST_STATES, MOST_STATES = 10, 150
LEAST_PRESSURE = 0.5  # GPa; good sets are below 0.2
LEAST_SHARE = 0.5  # of the root mean square of what is left, that the pressure must explain


def strain_warnings(structures: Sequence[Atoms], names: np.ndarray) -> list[str]:
    """Return a warning for each crystal whose energies and stresses differ by a constant pressure.

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
    for members in crystals.values():
        first = structures[members[0]].get_scaled_positions()
        states = []
        for k in members:
            apart = structures[k].get_scaled_positions() - first
            if np.abs(apart - np.rint(apart)).max() < LARGEST_FRACTION:
                states.append(k)
        if len(states) >= LEAST_STATES:
            found = missing_pressure([structures[k] for k in states[:MOST_STATES]])
            if found is not None:
                pressure, before, after = found
                warnings.append(
                    f"energies and stresses of {listed(names[states])}, one crystal in many strains, differ by a "
                    f"constant pressure: the stress fits to the energies if {pressure:.2g} GPa are added to its "
                    f"diagonal (root mean square of what is left {1e3 * before:.2g} meV/atom without, "
                    f"{1e3 * after:.2g} with it); the Pulay stress of plane waves cut off too low is one "
                    "cause; a loss of both spoils the energies, so correct the stress, or leave it out of the weights"
                )
    return warnings


def missing_pressure(states: Sequence[Atoms]) -> tuple[float, float, float] | None:
    """Return the pressure that the stress lacks, or None if there is no clear one.

    Parameters
    ----------
    states : sequence of ase.Atoms
        One crystal in several cells, its atoms at the same fractions of them, with energy and stress.

    Returns
    -------
    pressure : float
        In GPa, to be added to the diagonal of the stress (ASE's sign).
    before, after : float
        Root mean square difference of energy and work over all pairs of states, eV/atom, without and with it.
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
    before, after = (float(np.sqrt(np.mean(r**2))) for r in (left, left - pressure * change))
    in_gpa = EV_PER_CUBIC_ANGSTROM_TO_GPA * pressure
    if abs(in_gpa) < LEAST_PRESSURE or after > LEAST_SHARE * before:
        return None
    return in_gpa, before, after
