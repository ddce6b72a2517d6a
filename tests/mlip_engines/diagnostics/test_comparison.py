"""Which trajectories are compared, and their differences in units of the error."""

from types import SimpleNamespace

import numpy as np
import pytest

from mlip_engines.diagnostics.comparison import grouped, largest_difference, mean_of_blocks


def test_runs_that_stopped_are_left_out_and_without_conservative_ones_nothing_is_compared():
    whole = SimpleNamespace(stopped="", time_ps=np.arange(100.0), frame_time_ps=np.arange(100.0))
    ended = SimpleNamespace(
        stopped="not a number", time_ps=np.arange(40.0) / 100, frame_time_ps=np.arange(40.0)
    )
    found, words = grouped({"SVR.C.0": whole, "SVR.NC.0": ended, "SVR.M4.0": whole})
    assert set(found) == {"C", "M4"}
    assert words == ["A run with NC ended after 0.39 ps and is left out."]
    found, words = grouped({"SVR.C.0": ended, "SVR.M4.0": whole})
    assert found == {} and words[-1] == "There is no run with C to compare with."


def test_differences_are_compared_with_their_errors():
    arrays = {"r_angstrom": np.array([1.0, 2.0, 3.0])}
    arrays |= {"g_C": np.array([0.0, 1.0, 1.0]), "g_C_error": np.array([0.0, 0.03, 0.03])}
    arrays |= {"g_NC": np.array([0.0, 1.2, 1.05]), "g_NC_error": np.array([0.0, 0.04, 0.04])}
    found = largest_difference(arrays, "g", "NC")
    assert found == pytest.approx(
        {"difference": 0.2, "error": 0.05, "r_angstrom": 2.0, "beyond": 0.5}
    )


def test_mean_of_blocks():
    mean, error = mean_of_blocks(np.array([[1.0, 2.0], [3.0, 2.0]]))
    np.testing.assert_allclose(mean, [2.0, 2.0])
    np.testing.assert_allclose(error, [1.0, 0.0])
