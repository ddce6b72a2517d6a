"""Diffusion of random walks."""

import numpy as np
import pytest

from mlip_engines.properties.diffusion import (
    diffusion_coefficient,
    mean_square_displacement,
    relative_to_centre,
)


def test_mean_square_displacement_is_what_a_double_loop_gives():
    positions = np.cumsum(np.random.default_rng(2).normal(size=(30, 4, 3)), axis=0)
    found = mean_square_displacement(positions)
    for lag in (0, 1, 7, 29):
        moved = positions[lag:] - positions[: 30 - lag]
        assert found[lag] == pytest.approx((moved**2).sum(axis=2).mean(), abs=1e-9)


def test_a_random_walk_diffuses_as_it_should():
    d, step = 0.23, 0.01  # Å^2/ps, ps
    rng = np.random.default_rng(4)
    steps = np.sqrt(2 * d * step) * rng.normal(size=(400, 500, 3))
    positions = np.cumsum(steps, axis=0)
    found = diffusion_coefficient(step * np.arange(400), positions)
    assert found == pytest.approx(d, rel=0.1)


def test_a_system_that_flies_does_not_diffuse():
    flight = np.arange(50)[:, None, None] * np.array([0.3, 0.1, -0.2]) * np.ones((50, 3, 3))
    positions = flight + np.random.default_rng(5).random((1, 3, 3))
    still = relative_to_centre(positions, np.array([1.0, 2.0, 16.0]))
    assert diffusion_coefficient(0.1 * np.arange(50), still) == pytest.approx(0.0, abs=1e-10)
