"""Friction that acts at high frequencies only."""

import numpy as np
import pytest

from mlip_engines.simulations.thermostats import high_pass_matrix, white_noise_matrix


def test_a_high_pass_thermostat_leaves_slow_motions_alone():
    a = high_pass_matrix(100.0, 200.0)
    assert np.linalg.eigvalsh(a + a.T).min() > -1e-9  # canonical sampling is possible
    for omega in (0.0, 50.0, 200.0, 5000.0):
        # eliminating the auxiliary momentum: a_pp - a_ps (a_ss + i omega)^-1 a_sp
        friction = (a[0, 0] - a[0, 1] * a[1, 0] / (a[1, 1] + 1j * omega)).real
        assert friction == pytest.approx(100.0 * omega**2 / (omega**2 + 200.0**2), abs=1e-9)
    np.testing.assert_array_equal(white_noise_matrix(5.0), [[5.0, 0.0], [0.0, 5.0]])
