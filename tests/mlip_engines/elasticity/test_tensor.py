"""Moduli from elastic constants, against formulas for cubic crystals and measured copper."""

import numpy as np
import pytest

from mlip_engines.elasticity.tensor import ElasticTensor, full_tensor, voigt_matrix
from tolerances import EXACT


def cubic(c11, c12, c44):
    matrix = np.diag([c11] * 3 + [c44] * 3).astype(float)
    matrix[:3, :3] += c12 * (1 - np.eye(3))
    return ElasticTensor(matrix)


def test_moduli_of_a_cubic_crystal():
    c11, c12, c44 = 168.3, 122.1, 75.7  # copper, GPa
    tensor = cubic(c11, c12, c44)
    assert tensor.bulk["voigt"] == pytest.approx((c11 + 2 * c12) / 3, abs=EXACT)
    assert tensor.bulk["reuss"] == pytest.approx((c11 + 2 * c12) / 3, abs=EXACT)
    voigt = (c11 - c12 + 3 * c44) / 5
    reuss = 5 * (c11 - c12) * c44 / (4 * c44 + 3 * (c11 - c12))
    assert tensor.shear["voigt"] == pytest.approx(voigt, abs=EXACT)
    assert tensor.shear["reuss"] == pytest.approx(reuss, abs=EXACT)
    zener = 2 * c44 / (c11 - c12)
    assert tensor.anisotropy == pytest.approx(6 / 5 * (np.sqrt(zener) - 1 / np.sqrt(zener)) ** 2)
    assert tensor.young == pytest.approx(127.0, abs=2.0)  # measured: 128
    assert tensor.poisson == pytest.approx(0.345, abs=0.005)
    assert tensor.is_stable and not cubic(100.0, 120.0, 50.0).is_stable


def test_an_isotropic_solid_is_the_same_in_all_directions():
    tensor = cubic(100.0, 40.0, 30.0)
    assert tensor.anisotropy == pytest.approx(0.0, abs=EXACT)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    np.testing.assert_allclose(tensor.averaged([turn]).constants, tensor.constants, atol=1e-9)


def test_average_over_quarter_turns_is_cubic():
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    cycle = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    group = [np.eye(3)]
    for _ in range(6):
        products = [a @ b for a in group for b in (np.eye(3), quarter, cycle)]
        group = list({p.astype(int).tobytes(): p for p in products}.values())
    assert len(group) == 24
    random = np.random.default_rng(2).normal(size=(6, 6))
    found = ElasticTensor(random + random.T).averaged(group).constants
    np.testing.assert_allclose(
        found, cubic(found[0, 0], found[0, 1], found[3, 3]).constants, atol=1e-9
    )


def test_notation_of_voigt_goes_both_ways():
    random = np.random.default_rng(3).normal(size=(6, 6))
    matrix = random + random.T
    np.testing.assert_allclose(voigt_matrix(full_tensor(matrix)), matrix, atol=EXACT)
    assert full_tensor(matrix)[0, 1, 2, 2] == matrix[5, 2]  # xy, zz
