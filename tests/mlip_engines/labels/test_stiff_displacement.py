"""Copies along stiff modes: the direction of one power iteration, and no atom too far."""

import numpy as np
import pytest

from mlip_engines.labels.labelling import FARTHEST, stiff_displacement

LENGTH = 0.03  # Å


def test_many_bonds_share_a_displacement_of_the_length_asked_for():
    change = np.random.default_rng(1).normal(size=(60, 3))
    found = stiff_displacement(change, np.full(60, 12.0), LENGTH)
    assert np.sqrt(np.mean(found**2)) == pytest.approx(LENGTH)
    assert found == pytest.approx(change * found[0, 0] / change[0, 0])


def test_one_bond_does_not_take_all_of_it():
    """A hydrogen whose bond was hit: scaled down as a whole, so that the change of forces stays a derivative."""
    change = np.full((60, 3), 0.01)
    change[7] = [5.0, 0.0, 0.0]
    masses = np.full(60, 16.0)
    masses[7] = 1.0
    found = stiff_displacement(change, masses, LENGTH)
    assert np.linalg.norm(found, axis=1).max() == pytest.approx(FARTHEST * LENGTH)
    turned = change / masses[:, None]
    assert found == pytest.approx(turned * found[7, 0] / turned[7, 0])


def test_forces_that_do_not_change_displace_nothing():
    assert not stiff_displacement(np.zeros((3, 3)), np.ones(3), LENGTH).any()
