"""The two orders of six components and the two signs, against ASE and against plain numbers."""

import numpy as np
import pytest
from ase.stress import full_3x3_to_voigt_6_stress

from mlip_engines.quantities import (
    stress_from_virial,
    stress_to_ase_voigt,
    virial_to_lammps_order,
)

# Every component another number; row x, column y holds xy.
XX, YY, ZZ, YZ, XZ, XY = 1.0, 2.0, 3.0, 4.0, 5.0, 6.0
SYMMETRIC = np.array([[XX, XY, XZ], [XY, YY, YZ], [XZ, YZ, ZZ]])


def test_ase_order():
    assert stress_to_ase_voigt(SYMMETRIC).tolist() == [XX, YY, ZZ, YZ, XZ, XY]
    np.testing.assert_array_equal(
        stress_to_ase_voigt(SYMMETRIC), full_3x3_to_voigt_6_stress(SYMMETRIC)
    )


def test_lammps_order():
    assert virial_to_lammps_order(SYMMETRIC).tolist() == [XX, YY, ZZ, XY, XZ, YZ]


def test_off_diagonal_components_are_averaged():
    skew = np.array([[0.0, 1.0, 2.0], [-1.0, 0.0, 3.0], [-2.0, -3.0, 0.0]])
    for convert in (stress_to_ase_voigt, virial_to_lammps_order):
        np.testing.assert_array_equal(convert(SYMMETRIC + skew), convert(SYMMETRIC))


def test_stress_has_the_opposite_sign_of_the_virial():
    np.testing.assert_array_equal(stress_from_virial(SYMMETRIC, 4.0), -SYMMETRIC / 4.0)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"shape \(3, 3\), got \(6,\)"):
        stress_to_ase_voigt(np.zeros(6))
    with pytest.raises(ValueError, match="volume must be positive"):
        stress_from_virial(SYMMETRIC, 0.0)
