"""Deformation as coordinates: scipy's exponential, and finite differences of an energy in closed form."""

import numpy as np
from scipy.linalg import expm

from mlip_engines.relaxation.deformation import deformation, force_on_log
from tolerances import EXACT, FINITE_DIFFERENCE_STEP, FINITE_DIFFERENCE_VIRIAL

METRIC = np.array([[2.0, 0.3, -0.1], [0.3, 1.5, 0.4], [-0.1, 0.4, 0.9]])


def energy(log):
    """tr(M F F^T): it depends on lengths and angles of lattice vectors alone, as an energy does."""
    f = expm(log)
    return float(np.trace(METRIC @ f @ f.T))


def virial(log):
    """-dE/d(strain) for F -> F (1 + strain)."""
    f = expm(log)
    return -2.0 * f.T @ METRIC @ f


def logarithms():
    rng = np.random.default_rng(2)
    random = rng.normal(scale=0.2, size=(3, 3, 3))
    equal = np.diag([0.1, 0.1, -0.2])  # two eigenvalues are the same
    return np.array([*(random + random.transpose(0, 2, 1)) / 2, equal, np.zeros((3, 3))])


def test_deformation_is_the_matrix_exponential():
    for log, found in zip(logarithms(), deformation(logarithms()), strict=True):
        np.testing.assert_allclose(found, expm(log), atol=EXACT)


def test_force_is_minus_the_derivative_of_the_energy():
    logs, h = logarithms(), FINITE_DIFFERENCE_STEP
    forces = force_on_log(logs, np.array([virial(log) for log in logs]))
    for log, force in zip(logs, forces, strict=True):
        for i in range(3):
            for j in range(i + 1):
                change = np.zeros((3, 3))
                change[i, j] += 0.5
                change[j, i] += 0.5
                slope = (energy(log + h * change) - energy(log - h * change)) / (2.0 * h)
                assert abs(force[i, j] + slope) < FINITE_DIFFERENCE_VIRIAL
