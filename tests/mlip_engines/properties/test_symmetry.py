"""Orientations, and the spread of numbers over them."""

import numpy as np
import pytest

from mlip_engines.properties.symmetry import orientational_spread, random_orientation, turned


def test_orientations_are_orthogonal_and_uniform():
    rng = np.random.default_rng(1)
    matrices = np.array([random_orientation(rng, inverted=k % 2 == 1) for k in range(2000)])
    np.testing.assert_allclose(
        matrices @ matrices.transpose(0, 2, 1), np.eye(3)[None].repeat(2000, 0), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(matrices), np.tile([1.0, -1.0], 1000))
    assert np.abs(matrices.mean(axis=0)).max() < 0.06


def test_turning_keeps_distances(argon):
    matrix = random_orientation(np.random.default_rng(2), inverted=True)
    found = turned(argon, matrix)
    np.testing.assert_allclose(
        found.get_all_distances(mic=True), argon.get_all_distances(mic=True), atol=1e-9
    )


def test_spread_and_what_is_left_of_it_in_the_average():
    values = np.random.default_rng(3).normal(scale=2.0, size=(64, 5000))
    whole, average = orientational_spread(values)
    assert whole == pytest.approx(2.0, rel=0.02)
    assert average == pytest.approx(2.0 / np.sqrt(64), rel=0.05)
