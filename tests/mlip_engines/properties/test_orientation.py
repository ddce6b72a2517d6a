"""Directions, and correlations of directions, that are known."""

import numpy as np

from mlip_engines.properties.orientation import orientational_correlation, orientations
from mlip_engines.properties.radial_distribution import largest_radius

CELL = np.array([[9.0, 0.0, 0.0], [1.0, 8.5, 0.0], [-0.5, 0.7, 9.5]])


def test_random_directions_are_uncorrelated_and_equal_ones_are_not():
    rng = np.random.default_rng(2)
    centres = rng.random((40, 30, 3)) @ CELL
    cells = np.broadcast_to(CELL, (40, 3, 3))
    edges = np.linspace(0.0, largest_radius(CELL), 5)
    u = rng.normal(size=(40, 30, 3))
    u /= np.linalg.norm(u, axis=2, keepdims=True)
    random = orientational_correlation(centres, u, cells, edges)
    assert np.abs(random[1:]).max() < 0.05
    same = orientational_correlation(
        centres, np.broadcast_to([0.0, 0.6, 0.8], u.shape), cells, edges
    )
    np.testing.assert_allclose(same[1:], 1.0)


def test_the_direction_of_water_is_that_of_its_dipole():
    from ase.build import molecule

    water = molecule("H2O")
    dipole = water.positions[1:].mean(axis=0) - water.positions[0]
    centre, direction = orientations(
        water.positions[None], water.get_masses(), np.array([False, True, True])
    )
    np.testing.assert_allclose(direction[0], dipole / np.linalg.norm(dipole), atol=1e-12)
    np.testing.assert_allclose(centre[0], water.get_center_of_mass(), atol=1e-12)
