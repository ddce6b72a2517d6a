"""Minimisers on an energy whose minimum is known, and on forces that lead around in circles."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from mlip_engines import MlipCalculator, load_model
from mlip_engines.diagnostics.case import Case, quick
from mlip_engines.diagnostics.optimisation import CLUSTER, Optimisation, minimise, starts
from tests.mlip_engines.exact_models import EPSILON, SIGMA


@pytest.mark.parametrize("minimiser", ["FIRE", "LBFGS"])
def test_a_minimum_is_found_with_conservative_forces(argon_model, minimiser):
    pair = Atoms("Ar2", [[0.0, 0.0, 0.0], [0.0, 0.3, 4.1]])
    found = minimise(pair, MlipCalculator(argon_model), minimiser, 1e-5, 300)
    assert found["converged"]
    assert found["largest_force_eV_per_angstrom"][-1] < 1e-5
    assert found["steps"] == len(found["largest_force_eV_per_angstrom"]) - 1
    assert len(pair) == 2 and pair.positions[1, 2] == 4.1  # a copy was moved


@pytest.mark.parametrize("minimiser", ["FIRE", "LBFGS"])
def test_a_swirl_has_no_minimum(argon_model, minimiser):
    """c z x r turns a pair around the z axis as long as it has an extent across it."""
    pair = Atoms("Ar2", [[0.0, 0.0, 0.0], [3.9, 0.0, 0.0]])
    calculator = MlipCalculator(argon_model, forces="non_conservative")
    assert not minimise(pair, calculator, minimiser, 1e-5, 100)["converged"]


def test_success_is_counted(argon_model):
    pair = Atoms("Ar2", [[0.0, 0.0, 0.0], [3.9, 0.3, 0.2]])
    case = Case(load_model(argon_model), pair, quick(optimisation_steps=150))
    result = Optimisation().measure(case, {}, {})
    runs = {(r["forces"], r["minimiser"]): r for r in result.values["runs"]}
    assert all(r["phase"] == "condensed" for r in runs.values())  # no molecules
    assert runs["C", "LBFGS"]["converged"] == runs["C", "LBFGS"]["structures"]
    assert runs["NC", "LBFGS"]["converged"] == 0
    assert runs["NC", "LBFGS"]["median_steps"] is None
    words = Optimisation().render(result).paragraphs[0]
    assert "2 of 2 minimisations with C forces converged" in words
    assert "0 of 2 minimisations with NC forces converged" in words


def test_clusters_are_whole_molecules():
    box = Atoms()
    for k in range(8):
        water = molecule("H2O")
        water.positions += 3.1 * np.array([k % 2, k // 2 % 2, k // 4]) + 0.05
        box += water
    box.cell, box.pbc = [6.2, 6.2, 6.2], True
    box.wrap()
    found = starts(box, 2, np.random.default_rng(1))
    assert {kind: len(s) for kind, s in found.items()} == {"gas": 2, "condensed": 2}
    cluster = found["gas"][0]
    assert len(cluster) == 3 * CLUSTER and not cluster.pbc.any()
    for k in range(CLUSTER):
        assert 0.5 < cluster.get_distance(3 * k, 3 * k + 1) < 1.4


def test_an_unknown_minimiser_is_refused():
    with pytest.raises(ValueError, match="FIRE, LBFGS"):
        minimise(Atoms("Ar"), None, "BFGS", 1e-4, 10)


def test_the_minimum_of_lennard_jones_is_where_it_should_be():
    """The oracle's own oracle: the fixture's parameters, without the factor that smooths the cutoff."""
    r = SIGMA * 2 ** (1 / 6)
    sixth = (SIGMA / r) ** 6
    assert 4 * EPSILON * (sixth**2 - sixth) == pytest.approx(-EPSILON)
