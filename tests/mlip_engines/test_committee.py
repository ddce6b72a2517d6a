"""A committee in ASE against numpy on the forces of each model."""

import csv

import numpy as np
import pytest
from ase.md.verlet import VelocityVerlet

from mlip_engines import Committee, DeviationLog, MlipCalculator
from mlip_engines.properties import committee_deviation
from structures import STRUCTURES
from tolerances import EXACT, TOLERANCE

MODELS = ["water", "water-large", "water-fast"]


def test_deviation_is_that_of_the_models_evaluated_one_by_one():
    atoms = STRUCTURES["orthogonal"]()
    found = []
    for model in MODELS:
        atoms.calc = MlipCalculator(model)
        found.append((atoms.get_forces(), atoms.get_potential_energy(), atoms.get_stress(False)))
    forces, energies, stresses = (np.array(each) for each in zip(*found, strict=True))
    atoms.calc = committee = Committee(MODELS)
    deviation = committee.deviation(atoms)

    away = np.linalg.norm(forces - forces.mean(axis=0), axis=2)
    np.testing.assert_allclose(deviation.forces**2, (away**2).mean(axis=0), atol=EXACT)
    assert deviation.energy == pytest.approx(energies.std() / len(atoms), abs=EXACT)
    spread = stresses.std(axis=0) * atoms.get_volume() / len(atoms)
    np.testing.assert_allclose(deviation.virial, spread, atol=TOLERANCE["float64"].virial)
    np.testing.assert_allclose(atoms.get_forces(), forces[0], atol=EXACT)  # the first one drives


def test_models_that_are_alike_do_not_deviate():
    deviation = Committee(["water-fast", "water-fast"]).deviation(STRUCTURES["molecule"]())
    assert deviation.row() == (0.0,) * 7


def test_log_has_the_deviation_of_each_frame(tmp_path):
    atoms = STRUCTURES["orthogonal"]()
    atoms.calc = committee = Committee(["water-large", "water"])
    dynamics = VelocityVerlet(atoms, 0.05)
    dynamics.attach(DeviationLog(tmp_path / "log.csv", committee, atoms, dynamics), interval=2)
    dynamics.run(4)
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [0, 2, 4]
    last = Committee(["water-large", "water"]).deviation(atoms)
    values = [float(rows[-1][name]) for name in last.columns]
    np.testing.assert_allclose(values, last.row(), atol=1e-8)  # the digits of the file
    assert values[0] > 1e-3


def test_bad_committees_are_refused():
    with pytest.raises(ValueError, match="two models or more, got 1"):
        Committee(["water"])
    with pytest.raises(ValueError, match="conservative forces"):
        Committee(["water", "water-fast"], forces="non_conservative")
    with pytest.raises(ValueError, match="expected forces of shape"):
        committee_deviation([0.0, 1.0], np.zeros((2, 3)), np.zeros((2, 3, 3)))
