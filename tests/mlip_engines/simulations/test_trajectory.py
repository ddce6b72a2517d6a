"""Trajectories as they are put together, and kept in files."""

from dataclasses import fields

import numpy as np
import pytest

from mlip_engines.simulations.trajectory import Trajectory
from tests.mlip_engines.simulations.trajectories import trajectory


def test_chunks_join_without_a_step_in_the_energy(tmp_path):
    first = trajectory([0.0, 0.1, 0.2], [1.0, 1.1, 1.2], [5.0, 5.1, 5.2])
    # a thermostat that counts anew: the same state has another conserved energy
    second = trajectory([0.2, 0.3], [1.2, 1.3], [0.0, 0.1], stopped="lost atoms")
    whole = Trajectory.join([first, second])
    np.testing.assert_allclose(whole.time_ps, [0.0, 0.1, 0.2, 0.3])
    np.testing.assert_allclose(whole.conserved_eV, [5.0, 5.1, 5.2, 5.3])
    assert whole.n_steps.tolist() == [4, 4] and whole.stopped == "lost atoms"
    whole.save(tmp_path / "whole.npz")
    read = Trajectory.load(tmp_path / "whole.npz")
    for field in fields(Trajectory):
        np.testing.assert_array_equal(getattr(read, field.name), getattr(whole, field.name))


def test_nothing_to_join_is_an_error():
    with pytest.raises(ValueError, match="at least one chunk"):
        Trajectory.join([])
