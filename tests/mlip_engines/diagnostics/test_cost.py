"""Ratios of times, and what sharing an evaluation should give."""

import numpy as np
import pytest

from mlip_engines.diagnostics.cost import relative_times, shared_cost


def test_an_inner_step_costs_its_share_of_the_evaluations():
    """M - 1 of the head (10 ms) and one of everything (30 ms) in each outer step."""
    assert shared_cost(8, 3.0) == pytest.approx((30.0 + 70.0) / 8 / 10.0)
    assert shared_cost(1, 3.0) == 3.0


def test_a_load_that_comes_and_goes_does_not_change_the_ratios():
    slow = np.array([1.0, 3.0, 1.0, 2.0])  # what else the machine does in each turn
    turns = {
        "C": list(30.0 * slow),
        "NC": list(10.0 * slow),
        "M4": [15.0, float("nan"), 15.0, 33.0],
    }
    found = relative_times(turns, "NC")
    assert found["C"] == pytest.approx((3.0, 0.0)) and found["NC"] == pytest.approx((1.0, 0.0))
    assert found["M4"][0] == pytest.approx(1.5) and found["M4"][1] > 0.0
    assert np.isnan(relative_times({"NC": [1.0], "M16": [float("nan")]}, "NC")["M16"][0])
