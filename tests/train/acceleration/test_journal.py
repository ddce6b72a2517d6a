"""What is done is not done again, and a folder belongs to one request."""

import pytest

from mlip_train.acceleration.journal import Journal


def quiet(line):
    pass


def test_a_step_that_is_done_is_not_done_again_after_an_interruption(tmp_path):
    calls = []

    def step():
        calls.append(1)
        return {"value": len(calls), "pair": (1, 2)}

    first = Journal(tmp_path, {"model": "a"}, 5.0, quiet).once("step", step)
    again = Journal(tmp_path, {"model": "a"}, 5.0, quiet)
    assert "step" in again and "other" not in again
    assert again.once("step", step) == first == {"value": 1, "pair": [1, 2]}


def test_a_step_that_was_interrupted_is_done_again(tmp_path):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Journal(tmp_path, {}, 5.0, quiet).once("step", interrupted)
    assert Journal(tmp_path, {}, 5.0, quiet).once("step", lambda: 7) == 7


def test_time_counts_over_interruptions(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def two_minutes():
        now[0] += 120.0

    Journal(tmp_path, {}, 5.0, quiet).once("a", two_minutes)
    now[0] = 5.0  # the machine was started anew
    journal = Journal(tmp_path, {}, 5.0, quiet)
    assert journal.minutes_left == pytest.approx(3.0)
    journal.once("b", two_minutes)
    journal.once("c", two_minutes)
    assert journal.minutes_left == 0.0


def test_a_folder_of_another_request_is_refused_by_what_differs(tmp_path):
    Journal(tmp_path, {"model": "a", "seed": 1}, 5.0, quiet)
    with pytest.raises(ValueError, match="another model; choose another"):
        Journal(tmp_path, {"model": "b", "seed": 1}, 5.0, quiet)
    Journal(tmp_path, {"model": "a", "seed": 1}, 50.0, quiet)  # more time may be given
