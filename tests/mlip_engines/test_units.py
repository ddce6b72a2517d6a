"""Unit constants against the CODATA values of SciPy."""

import pytest
from scipy import constants as c

from mlip_engines import units


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EV_TO_KJ_PER_MOL", c.e * c.N_A / c.kilo),
        ("EV_TO_KCAL_PER_MOL", c.e * c.N_A / (c.kilo * c.calorie)),
        ("ANGSTROM_TO_NM", c.angstrom / c.nano),
        ("NM_TO_ANGSTROM", c.nano / c.angstrom),
        ("BOLTZMANN_EV_PER_KELVIN", c.k / c.e),
        ("EV_PER_CUBIC_ANGSTROM_TO_BAR", c.e / c.angstrom**3 / c.bar),
        ("EV_PER_CUBIC_ANGSTROM_TO_GPA", c.e / c.angstrom**3 / c.giga),
        ("MEV_PER_EV", 1 / c.milli),
    ],
)
def test_constant(name, expected):
    assert getattr(units, name) == pytest.approx(expected, rel=1e-9)
