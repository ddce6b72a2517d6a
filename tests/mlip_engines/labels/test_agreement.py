"""Energies, forces and stresses that cannot belong together are named, on a potential that is not one of pairs."""

import copy

import ase.units
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from mlip_engines.labels.agreement import _mixture_warnings, agreement_warnings
from mlip_engines.labels.checks import check_labels


def labelled(atoms: Atoms) -> Atoms:
    atoms.calc = EMT()
    labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    labels["stress"] = atoms.get_stress()
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def make_set() -> list[Atoms]:
    """Return crystals at several volumes, alloys and slabs in vacuum, in no order, with labels of an embedded atom."""
    rng = np.random.default_rng(8)
    structures = []
    for k in range(72):
        if k % 4 == 3:
            atoms = fcc111("Cu", (2, 2, 3), a=3.6, vacuum=6.0, periodic=True)
        else:
            atoms = bulk("Cu", "fcc", a=3.6, cubic=True) * (2, 1, 1)
            atoms.set_cell(
                atoms.cell.array @ (np.eye(3) + rng.normal(scale=0.02, size=(3, 3))),
                scale_atoms=True,
            )
        if k % 4 == 2:
            atoms.symbols[::2] = "Ni"
        atoms.positions += rng.normal(scale=rng.uniform(0.02, 0.15), size=(len(atoms), 3))
        structures.append(labelled(atoms))
    return structures


SET = make_set()


@pytest.fixture
def metals() -> list[Atoms]:
    return copy.deepcopy(SET)


def found(structures) -> str:
    return " ".join(agreement_warnings(structures, np.arange(len(structures)))[0])


def test_labels_of_one_potential_pass_in_silence(metals):
    assert agreement_warnings(metals, np.arange(len(metals))) == ([], True)
    assert check_labels(metals, "metals.xyz") == []


@pytest.mark.parametrize(
    ("name", "factor", "message"),
    [
        ("stress", -1.0, "of the other sign in eV/Å"),
        ("stress", 1.0 / ase.units.GPa, "GPa"),
        ("stress", -10.0 / ase.units.GPa, "kbar"),
        ("energy", 1.0 / ase.units.Hartree, "energies in hartree"),
        ("energy", ase.units.mol / ase.units.kJ, "energies in kJ/mol"),
        ("forces", ase.units.Bohr / ase.units.Hartree, "forces in hartree/bohr"),
        ("forces", -1.0, "gradient"),
    ],
)
def test_labels_of_another_unit_or_sign_are_named(name, factor, message, metals):
    for atoms in metals:
        atoms.calc.results[name] = atoms.calc.results[name] * factor
    assert message in found(metals)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_virial_in_place_of_a_stress_is_named(sign, metals):
    for atoms in metals:
        atoms.calc.results["stress"] *= sign * atoms.get_volume()
    message = found(metals)
    assert "times the volume" in message and ("one of the other sign" in message) is (sign < 0.0)


def test_two_methods_in_one_set_are_named(metals):
    crystals = [atoms for k, atoms in enumerate(metals) if k % 4 != 3]
    for atoms in crystals[40:]:
        atoms.calc.results["energy"] += 0.3 * len(atoms)
    message = found(crystals)
    assert "two groups" in message and "structures 40, 41, " in message


@pytest.mark.parametrize("seed", range(4))
def test_what_forces_explain_badly_may_still_hold_two_methods(seed):
    """As in sets of Ge-Sb-Te and of silicon, where the pair potential leaves some 45 meV per atom unexplained."""
    rng = np.random.default_rng(seed)
    expected, neighbors = rng.normal(scale=0.1, size=200), rng.normal(30.0, 3.0, size=200)
    energies = expected + rng.normal(scale=0.045, size=200)
    assert _mixture_warnings(energies, expected, neighbors, np.arange(200)) == []
    energies[:60] += 0.3
    (message,) = _mixture_warnings(energies, expected, neighbors, np.arange(200))
    assert "two groups" in message


def test_energies_that_forces_explain_are_one_group(metals):
    """Nothing lies between cold and squeezed crystals either, and both are right."""
    rng = np.random.default_rng(9)
    structures = []
    for k in range(60):
        atoms = bulk("Cu", "fcc", a=3.6 if k < 40 else 3.25, cubic=True) * (2, 1, 1)
        atoms.positions += rng.normal(scale=0.05, size=(len(atoms), 3))
        structures.append(labelled(atoms))
    assert found(structures) == ""


def test_nothing_is_said_where_forces_say_nothing(metals):
    for atoms in metals:
        atoms.calc.results["forces"] = np.zeros((len(atoms), 3))
        atoms.calc.results["stress"] *= -160.0
    assert agreement_warnings(metals, np.arange(len(metals))) == ([], False)
    rng = np.random.default_rng(1)
    for atoms in metals:
        atoms.calc.results["forces"] = rng.normal(size=(len(atoms), 3))
    assert agreement_warnings(metals, np.arange(len(metals))) == ([], False)
    assert agreement_warnings([Atoms("H")], np.arange(1)) == ([], False)
