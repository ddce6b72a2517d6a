"""Degrees of freedom, and with them kinetic temperatures."""

import pytest
from ase.build import molecule

from mlip_engines.simulations.kinetics import degrees_of_freedom


def test_degrees_of_freedom_are_those_of_the_system():
    water = molecule("H2O")
    freedom = degrees_of_freedom(water, momentum_is_free=False)
    assert freedom.sum() == pytest.approx(6.0)
    assert freedom[0] == pytest.approx(6.0 - 3.0 * 2 * 1.008 / 18.015, rel=1e-4)
    assert degrees_of_freedom(water, momentum_is_free=True).sum() == 9.0
