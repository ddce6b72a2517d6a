"""Minimisers on an energy whose minimum is known, and on forces that lead around in circles."""

from math import isnan

import pytest
from ase import Atoms

from mlip_engines import MlipCalculator
from mlip_engines.properties.relaxation import relax
from tests.exact_models import EPSILON, SIGMA


@pytest.mark.parametrize("minimiser", ["FIRE", "LBFGS"])
def test_a_minimum_is_found_with_conservative_forces(argon_model, minimiser):
    pair = Atoms("Ar2", [[0.0, 0.0, 0.0], [0.0, 0.3, 4.1]])
    found = relax(
        pair, MlipCalculator(argon_model), minimiser=minimiser, threshold=1e-5, n_steps=300
    )
    assert found.converged
    assert found.largest_force[-1] < 1e-5
    assert found.n_steps == len(found.largest_force) - 1
    assert len(pair) == 2 and pair.positions[1, 2] == 4.1  # a copy was moved


@pytest.mark.parametrize("minimiser", ["FIRE", "LBFGS"])
def test_a_swirl_has_no_minimum(argon_model, minimiser):
    """c z x r turns a pair around the z axis as long as it has an extent across it."""
    pair = Atoms("Ar2", [[0.0, 0.0, 0.0], [3.9, 0.0, 0.0]])
    calculator = MlipCalculator(argon_model, forces="non_conservative")
    found = relax(pair, calculator, minimiser=minimiser, threshold=1e-5, n_steps=100)
    assert not found.converged


def test_forces_that_are_not_finite_end_a_relaxation(argon_model):
    pair = Atoms("Ar2", [[0.0, 0.0, 0.0], [0.0, 0.0, 1e-40]])
    found = relax(pair, MlipCalculator(argon_model))
    assert not found.converged and isnan(found.largest_force[-1])


def test_an_unknown_minimiser_is_refused():
    with pytest.raises(ValueError, match="FIRE, LBFGS"):
        relax(Atoms("Ar"), None, minimiser="BFGS")


def test_the_minimum_of_lennard_jones_is_where_it_should_be():
    """The oracle's own oracle: the fixture's parameters, without the factor that smooths the cutoff."""
    r = SIGMA * 2 ** (1 / 6)
    sixth = (SIGMA / r) ** 6
    assert 4 * EPSILON * (sixth**2 - sixth) == pytest.approx(-EPSILON)
