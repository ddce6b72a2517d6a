"""The search for the longest step, on a system whose limits are known."""

import pytest
from ase import Atoms

from mlip_engines.simulations import Estimate, Forces
from mlip_engines.simulations.pace import Limits, Pace, fastest, respa_ms
from mlip_engines.simulations.pace_search import FIRST_INNER_STEPS, INNER_STEPS
from mlip_train.acceleration.climb import Climb, pace_as_dict, pace_from_dict
from mlip_train.acceleration.sizes import Price

LIMITS = Limits(0.1, 0.1)


@pytest.fixture
def searched(tmp_path, monkeypatch):
    """Return a function that searches where steps up to a limit are good, and what it has tried."""
    tried = []

    def make(price, longest_c_fs, longest_outer_fs):
        def pace(self, forces, step):
            tried.append((forces, step))
            is_c = forces.kind == "conservative"
            fails = forces.inner_steps * step > (longest_c_fs if is_c else longest_outer_fs)
            ms = respa_ms(forces.inner_steps, price.conservative_ms, price.non_conservative_ms)
            return Pace(forces, step, ms, Estimate(1.0 if fails else 0.0, 0.01), 0.05)

        monkeypatch.setattr(Climb, "pace", pace)
        found = Climb(tmp_path, Atoms("Ar2"), price, LIMITS, 1.0, tmp_path, print)
        c = found.conservative(2.0)
        return c, found.respa(2.0, c), tried

    return make


@pytest.mark.parametrize("largest", [1, *INNER_STEPS])
def test_the_largest_m_that_passes_is_found(searched, largest):
    _, respa, _ = searched(Price("small", 1000.0, 1.0), 2.0, 2.0 * largest)
    best = fastest(respa, LIMITS, "respa")
    assert (best.forces.inner_steps if best else 1) == largest


def test_few_simulations_are_needed(searched):
    _, _, tried = searched(Price("small", 1000.0, 1.0), 6.0, 24.0)
    assert len(tried) == len(set(tried)) <= 13


def test_a_longer_inner_step_is_tried_where_inner_steps_are_dear_and_c_can_do_with_it(searched):
    _, respa, _ = searched(Price("small", 10.0, 5.0), 6.0, 24.0)
    best = fastest(respa, LIMITS, "respa")
    assert (best.inner_step_fs, best.outer_step_fs) == (6.0, 24.0)
    _, respa, _ = searched(Price("small", 10.0, 5.0), 2.0, 24.0)  # C cannot
    assert {p.inner_step_fs for p in respa} == {2.0}


def test_a_pace_is_kept_whole_in_plain_values():
    pace = Pace(Forces("respa", 4), 2.0, 9.0, Estimate(-0.1, 0.02), 0.3, "lost atoms")
    assert pace_from_dict(pace_as_dict(pace)) == pace
    assert FIRST_INNER_STEPS in INNER_STEPS
