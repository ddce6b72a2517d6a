"""Dynamics that blow up get a shorter step, then a clear end."""

from dataclasses import replace

import numpy as np
import pytest

from mlip_engines.model.load import load_model
from mlip_engines.simulations import CONSERVATIVE
from mlip_train.acceleration import sampling
from mlip_train.acceleration.request import Request
from mlip_train.acceleration.sampling import UnstableDynamicsError, read_frames, sample
from mlip_train.acceleration.starts import Plan, Start, plan_sampling
from tests.exact_models import argon, argon_model  # noqa: F401


class Unstable:
    """Stands in for a trajectory, which blows up at steps longer than ``largest_fs``."""

    largest_fs = 0.0

    def __init__(self, atoms, simulation):
        self.stopped = "lost atoms" if simulation.inner_step_fs > self.largest_fs else ""
        self.time_ps = np.array([0.0, 0.125])
        self.positions = np.stack([atoms.positions] * 3)
        self.atoms = atoms

    def structures(self, atoms, chosen):
        return [self.atoms.copy() for _ in chosen]


@pytest.fixture
def request_of_argon(argon_model, argon):  # noqa: F811
    return Request(load_model(argon_model), [argon], (40.0, 60.0))


@pytest.fixture
def run(request_of_argon, tmp_path, monkeypatch):
    steps, baths = [], []

    def simulate(model, atoms, simulation, engine, folder):
        steps.append(simulation.inner_step_fs)
        baths.append((simulation.ensemble, simulation.pressure_bar))
        return Unstable(atoms, simulation)

    monkeypatch.setattr(sampling, "simulate", simulate)
    plan = Plan((Start(0, 60.0), Start(0, 40.0, 100.0)), 0.5, 2)

    def sampled():
        r = request_of_argon
        return sample(r, r.model.path, CONSERVATIVE, 2.0, plan, tmp_path, 1, lambda text: None)

    return sampled, steps, baths


def test_a_shorter_step_is_tried_and_finished_starts_are_kept(run, monkeypatch):
    sampled, steps, baths = run
    monkeypatch.setattr(Unstable, "largest_fs", 1.0)
    (first, second) = sampled()
    assert steps == [2.0, 1.0, 2.0, 1.0]
    second.unlink()  # as if it had been interrupted there
    sampled()
    assert len(steps) == 6
    frames = read_frames([first, second])
    assert [a.info["temperature_K"] for a in frames] == [60.0, 60.0, 40.0, 40.0]
    assert [a.info.get("pressure_bar") for a in frames] == [None, None, 100.0, 100.0]
    assert set(baths) == {("svr", 0.0), ("npt", 100.0)}


def test_dynamics_that_never_hold_end_with_what_was_tried(run, monkeypatch):
    sampled, _, _ = run
    monkeypatch.setattr(Unstable, "largest_fs", 0.1)
    with pytest.raises(UnstableDynamicsError, match=r"Ar32 at 60 K.*2 fs.*1 fs.*0.5 fs.*relaxed"):
        sampled()


def test_time_decides_how_much_is_sampled(request_of_argon):
    short = plan_sampling(request_of_argon, 10.0, 100.0, 1.0)
    assert short.starts == ((0, 60.0, None),)  # the hottest first
    long = plan_sampling(request_of_argon, 1000.0, 100.0, 1.0)
    assert long.starts == ((0, 60.0, None), (0, 40.0, None)) and long.picoseconds == 2.0
    assert long.frames == 200


def test_each_pressure_is_sampled_at_each_temperature(request_of_argon):
    under = replace(request_of_argon, pressures_bar=(1.0, 1000.0))
    starts = plan_sampling(under, 1000.0, 100.0, 1.0).starts
    assert starts == ((0, 60.0, 1.0), (0, 40.0, 1.0), (0, 60.0, 1000.0), (0, 40.0, 1000.0))
    assert starts[2].label == "structure 0, 60 K, 1000 bar"
    assert under.as_dict()["pressures_bar"] == [1.0, 1000.0]
    assert "pressures_bar" not in request_of_argon.as_dict()  # folders of before go on
