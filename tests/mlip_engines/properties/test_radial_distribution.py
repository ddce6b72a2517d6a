"""Pair distributions of an ideal gas and a crystal."""

import numpy as np
import pytest
from ase import Atoms

from mlip_engines.properties.radial_distribution import largest_radius, pair_distribution

CELL = np.array([[9.0, 0.0, 0.0], [1.0, 8.5, 0.0], [-0.5, 0.7, 9.5]])


def test_an_ideal_gas_has_no_structure():
    rng = np.random.default_rng(1)
    frames = [Atoms("Ar30Ne20", rng.random((50, 3)) @ CELL, cell=CELL, pbc=True) for _ in range(60)]
    for elements in (("Ar", "Ar"), ("Ar", "Ne")):
        r, g = pair_distribution(frames, elements, 0.999 * largest_radius(CELL), 10)
        # pairs in a shell are Poisson distributed
        volume = 4 * np.pi * r**2 * (r[1] - r[0])
        n_pairs = {("Ar", "Ar"): 30 * 29 / 2, ("Ar", "Ne"): 30 * 20}[elements]
        expected = 60 * n_pairs * volume / np.linalg.det(CELL)
        finite = 29 / 30 if elements == ("Ar", "Ar") else 1.0  # no atom is its own neighbour
        assert (np.abs(g - finite) < 5.0 / np.sqrt(expected)).all()


def test_a_crystal_has_twelve_nearest_neighbours(argon):
    r, g = pair_distribution([argon], ("Ar", "Ar"), 5.2, 520)
    shell = 4 * np.pi * r**2 * (r[1] - r[0]) * len(argon) / argon.get_volume()
    near = r < 4.5
    assert (g * shell)[near].sum() == pytest.approx(12.0, rel=0.01)
    assert r[near][np.argmax(g[near])] == pytest.approx(5.3 / np.sqrt(2), abs=0.01)


def test_largest_radius_is_half_the_distance_of_faces():
    assert largest_radius(np.diag([4.0, 5.0, 6.0])) == pytest.approx(2.0)
    # a sheared cell of the same volume is thinner
    assert largest_radius(np.array([[4.0, 0, 0], [4.0, 4.0, 0], [0, 0, 9.0]])) == pytest.approx(
        np.sqrt(2.0)
    )
