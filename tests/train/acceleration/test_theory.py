"""Linear theory of an inner force, against springs whose resonance is known in closed form."""

import json

import ase.units
import numpy as np
import pytest

from mlip_engines.properties.linear_theory import LinearMolecule
from mlip_engines.simulations import Estimate, Forces
from mlip_engines.simulations.pace import Limits, Pace
from mlip_engines.simulations.pace_search import INNER_STEPS, PaceSearch
from mlip_train.acceleration import theory
from mlip_train.acceleration.theory import Theory, linear_theory

OMEGA = np.pi / 0.008  # 1/ps: half a period is 8 fs, 16 inner steps of 0.5 fs


@pytest.fixture
def follow(monkeypatch):
    """Return a function that follows a hydrogen whose inner force is that of the energy times a number."""

    def with_inner(scale):
        hessian = 1.008 * (OMEGA / (1000.0 * ase.units.fs)) ** 2 * np.eye(3)
        well = LinearMolecule(["H"], np.zeros((1, 3)), np.array([1.008]), hessian, scale * hessian)
        monkeypatch.setattr(theory, "linear_molecules", lambda *_, **__: [well])
        return linear_theory(None, None, 0.5, 10.0, 1.0)

    return with_inner


def test_half_a_period_is_where_simulations_end(follow):
    found = follow(0.9)
    assert [found.allows(Forces("respa", m), 0.5) for m in (12, 16, 32)] == [True, False, False]
    assert not found.allows(Forces("respa", 5), 2.0)  # 10 fs, whatever the inner step
    assert found.longest_fs < 8.0
    again = Theory.from_dict(json.loads(json.dumps(found.as_dict(), allow_nan=False)))
    assert again.longest_fs == found.longest_fs
    assert [row.is_stable for row in again.rows] == [row.is_stable for row in found.rows]


def test_an_exact_inner_force_has_no_limit(follow):
    found = follow(1.0)
    assert found.longest_fs == 0.5 * INNER_STEPS[-1]
    assert all(row.configurational["H"] == pytest.approx(1.0, abs=1e-6) for row in found.rows)


def test_what_theory_rules_out_is_not_simulated(follow):
    tried = []

    def pace(forces, step):
        tried.append(forces.inner_steps * step)
        return Pace(forces, step, 10.0 + forces.inner_steps, Estimate(0.0, 0.01), 0.01)

    search = PaceSearch(pace, Limits(), 10.0, 1.0, follow(0.9).allows)
    c = search.conservative(0.5)
    tried.clear()
    search.respa(0.5, c)
    assert max(tried) < 8.0 and 6.0 in tried
