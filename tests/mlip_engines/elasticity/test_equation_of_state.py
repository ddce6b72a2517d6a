"""The equation of state of Birch and Murnaghan gives back the constants that it was written with."""

import numpy as np
import pytest

from mlip_engines.elasticity.equation_of_state import fit_equation_of_state
from mlip_engines.units import EV_PER_CUBIC_ANGSTROM_TO_GPA


def birch_murnaghan(v, e0, v0, b0, slope):
    """The energy as it is usually written (Birch 1947)."""
    x = (v0 / v) ** (2.0 / 3.0)
    return e0 + 9.0 * v0 * b0 / 16.0 * ((x - 1.0) ** 3 * slope + (x - 1.0) ** 2 * (6.0 - 4.0 * x))


def test_constants_are_found():
    volumes = np.linspace(10.5, 13.0, 7)
    found = fit_equation_of_state(volumes, birch_murnaghan(volumes, -3.7, 11.8, 0.85, 5.2))
    assert found.volume == pytest.approx(11.8, rel=1e-8)
    assert found.energy == pytest.approx(-3.7, abs=1e-10)
    assert found.bulk_modulus == pytest.approx(0.85 * EV_PER_CUBIC_ANGSTROM_TO_GPA, rel=1e-6)
    assert found.slope == pytest.approx(5.2, rel=1e-5)
    assert found.residual < 1e-12


def test_energies_without_a_minimum_are_refused():
    volumes = np.linspace(14.0, 15.0, 7)
    with pytest.raises(ValueError, match="no minimum"):
        fit_equation_of_state(volumes, birch_murnaghan(volumes, -3.7, 11.8, 0.85, 5.2))
    with pytest.raises(ValueError, match="five volumes"):
        fit_equation_of_state(volumes[:4], volumes[:4])
