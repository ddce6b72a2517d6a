"""A pressure that stresses of strained crystals lack is found, against the derivative of an embedded-atom energy."""

import ase.units
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from mlip_engines.labels.checks import check_labels
from mlip_engines.labels.strained import balance, strain_warnings


def strained_copper(n: int = 24) -> list[Atoms]:
    """Return crystals, stretched, compressed and sheared along one axis each, with labels of one energy."""
    states = []
    for k in range(n):
        strain = np.zeros((3, 3))
        a, b = [(0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2)][k % 6]
        strain[a, b] = strain[b, a] = 0.006 * (k // 6 - 1.5)
        atoms = bulk("Cu", "fcc", a=3.62, cubic=True)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        atoms.calc = EMT()
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, stress=atoms.get_stress(), **labels)
        states.append(atoms)
    return states


def test_a_stress_that_is_the_derivative_of_the_energy_lacks_no_pressure():
    states = strained_copper()
    found = balance(states)
    assert abs(found.pressure) < 0.05 and found.factor == pytest.approx(1.0, abs=0.05)
    assert strain_warnings(states, np.arange(len(states))) == []


@pytest.mark.parametrize("pressure", [-2.0, 1.0])
def test_the_pressure_that_was_taken_away_is_found(pressure):
    states = strained_copper()
    for atoms in states:
        atoms.calc.results["stress"][:3] -= pressure * ase.units.GPa
    found = balance(states)
    # The trapezoidal rule leaves the third order: a bulk modulus of 134 GPa times the square of a strain of 0.02.
    assert found.pressure == pytest.approx(pressure, abs=0.05)
    assert found.after < 0.1 * found.before
    (warning,) = strain_warnings(states, np.arange(len(states)))
    assert f"if {found.pressure:.2g} GPa are added" in warning
    assert any("a constant pressure" in each for each in check_labels(states, "copper.xyz"))


def test_crystals_whose_atoms_feel_forces_say_nothing():
    states = strained_copper()
    for atoms in states:
        atoms.calc.results["stress"][:3] += 2.0 * ase.units.GPa
        atoms.calc.results["forces"][0, 0] = 0.1
    assert strain_warnings(states, np.arange(len(states))) == []


@pytest.mark.parametrize(
    ("factor", "expected"), [(-1.0, -1.0), (1.0 / ase.units.GPa, ase.units.GPa)]
)
def test_another_sign_or_unit_is_no_pressure(factor, expected):
    states = strained_copper()
    for atoms in states:
        atoms.calc.results["stress"] *= factor
    assert balance(states).factor == pytest.approx(expected, rel=0.05)
    (warning,) = strain_warnings(states, np.arange(len(states)))
    assert "another unit" in warning and "GPa are added" not in warning


def test_an_equation_of_state_over_a_fifth_of_the_volume_is_silent():
    """The trapezoidal rule over wide steps leaves a pressure of its own; only near states are compared."""
    states = []
    for volume in np.linspace(0.9, 1.1, 20):
        atoms = bulk("Cu", "fcc", a=3.59 * volume ** (1 / 3), cubic=True)
        atoms.calc = EMT()
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, stress=atoms.get_stress(), **labels)
        states.append(atoms)
    assert strain_warnings(states, np.arange(len(states))) == []


def test_one_crystal_with_other_fractions_in_front_hides_nothing():
    states = strained_copper()
    for atoms in states:
        atoms.calc.results["stress"][:3] += 2.0 * ase.units.GPa
    other = states[0].copy()
    other.positions[0, 0] += 0.3
    other.calc = SinglePointCalculator(other, **states[0].calc.results)
    states = [other, *states]
    assert len(strain_warnings(states, np.arange(len(states)))) == 1
