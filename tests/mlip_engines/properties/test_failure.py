"""When a trajectory fails: overlap and Lindemann index against direct averages and known motions."""

import numpy as np
import pytest

from mlip_engines.properties.failure import FEWEST_FRAMES, first_failure
from tests.tolerances import EXACT


def motion(positions):
    """Return distances of all pairs in frames (F, N, 3), and the pairs."""
    first, second = np.triu_indices(positions.shape[1], k=1)
    return np.linalg.norm(positions[:, first] - positions[:, second], axis=2), first, second


def test_the_first_overlap_is_found_at_half_the_smallest_distance():
    positions = np.zeros((20, 3, 3))
    positions[:, 1, 0], positions[:, 2, 1] = 2.0, 9.0
    positions[7, 1, 0], positions[8, 1, 0] = 1.01, 1.0  # not yet, and just
    time = 0.1 * np.arange(20)
    failure = first_failure(*motion(positions), 3, time)
    assert failure.overlap_ps == pytest.approx(0.8) and failure.smallest_distance == 1.0


def test_indices_are_standard_deviations_over_means():
    rng = np.random.default_rng(0)
    grid = 2.5 * np.argwhere(np.ones((2, 2, 2)))
    distances, first, second = motion(grid + 0.1 * rng.normal(size=(60, 8, 3)))
    failure = first_failure(distances, first, second, 8, np.arange(60.0))
    index = distances.std(axis=0) / distances.mean(axis=0)
    each = [index[(first == k) | (second == k)].mean() for k in range(8)]
    assert failure.local_index == pytest.approx(max(each), abs=EXACT)
    assert failure.global_index == pytest.approx(np.mean(each), abs=EXACT)
    assert failure.overlap_ps is None and failure.lindemann_ps is None


def test_an_atom_that_leaves_is_seen_by_its_index_when_it_has_gone_far_enough():
    grid = 2.0 * np.argwhere(np.ones((2, 2, 2)))
    positions = np.repeat(grid[None].astype(float), 100, axis=0)
    positions[50:, 0, 0] -= 0.2 * np.arange(50)
    distances, first, second = motion(positions)
    failure = first_failure(distances, first, second, 8, np.arange(100.0))
    expected = None
    for k in range(FEWEST_FRAMES, 101):
        index = distances[:k].std(axis=0) / distances[:k].mean(axis=0)
        each = [index[(first == a) | (second == a)].mean() for a in range(8)]
        if expected is None and (max(each) > 0.25 or np.mean(each) > 0.2):
            expected = k - 1.0
    assert expected is not None and failure.lindemann_ps == expected
