"""Lindemann indices and distances that are known."""

import numpy as np
import pytest

from mlip_engines.properties.lindemann import (
    lindemann_index,
    mean_over_partners,
    pair_distances,
)


def test_the_index_of_a_pair_that_vibrates():
    phase = np.linspace(0.0, 20 * np.pi, 5000, endpoint=False)
    assert lindemann_index((2.0 + 0.1 * np.sin(phase))[:, None]) == pytest.approx(0.05 / np.sqrt(2))


def test_distances_are_to_the_nearest_image():
    x = np.array([[[0.1, 0.0, 0.0], [3.9, 0.0, 0.0]]])
    pair = np.array([0]), np.array([1])
    assert pair_distances(x, 4.0 * np.eye(3)[None], *pair) == pytest.approx(0.2)
    assert pair_distances(x, np.zeros((1, 3, 3)), *pair) == pytest.approx(3.8)


def test_the_index_of_an_atom_is_the_mean_over_its_pairs():
    first, second = np.array([0, 0, 1]), np.array([1, 2, 2])
    found = mean_over_partners(np.array([0.1, 0.2, 0.4]), first, second, 4)
    assert found == pytest.approx([0.15, 0.25, 0.3])  # atom 3 is in no pair
