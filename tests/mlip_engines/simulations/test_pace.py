"""The fair speed: what passes, what fails, and which is the fastest of those that pass."""

import math

import pytest

from mlip_engines.simulations import CONSERVATIVE, Estimate, Forces
from mlip_engines.simulations.pace import Limits, Pace, fair_gain, fastest, respa_ms

LIMITS = Limits(drift_meV_per_atom_per_ps=0.1, fluctuation_meV_per_atom=0.1)


def pace(forces=CONSERVATIVE, step=1.0, ms=10.0, drift=0.0, error=0.01, fluctuation=0.05, **more):
    return Pace(forces, step, ms, Estimate(drift, error), fluctuation, **more)


@pytest.mark.parametrize(
    "values, verdict",
    [
        ({"drift": -0.08, "error": 0.01}, "passes"),
        ({"drift": 0.08, "error": 0.05}, "undecided"),
        ({"drift": 0.15, "error": 0.10}, "undecided"),
        ({"drift": -0.15, "error": 0.01}, "fails"),
        ({"drift": math.nan}, "fails"),
        ({"error": math.nan}, "passes"),
        ({"fluctuation": 0.11}, "fails"),
        ({"fluctuation": math.nan}, "fails"),
        ({"fluctuation": 0.11, "fluctuation_error_meV_per_atom": 0.02}, "undecided"),
        ({"fluctuation": 0.09, "fluctuation_error_meV_per_atom": 0.02}, "undecided"),
        ({"fluctuation": 0.09, "fluctuation_error_meV_per_atom": 0.005}, "passes"),
        ({"fluctuation": 0.14, "fluctuation_error_meV_per_atom": 0.02, "error": 0.2}, "fails"),
        ({"fluctuation": 0.05, "fluctuation_error_meV_per_atom": math.nan}, "passes"),
        ({"stopped": "an atom was lost"}, "fails"),
    ],
)
def test_drift_and_fluctuation_count_with_their_errors(values, verdict):
    assert pace(**values).verdict(LIMITS) == verdict


def test_a_million_steps_of_a_femtosecond_a_day_are_a_nanosecond():
    one = pace(step=1.0, ms=86.4)  # 86400 s / 1e6
    assert one.ns_per_day == pytest.approx(1.0, rel=1e-12)
    assert one.seconds_per_ps == pytest.approx(86.4, rel=1e-12)
    assert pace(Forces("respa", 4), 0.5, 86.4).ns_per_day == pytest.approx(2.0, rel=1e-12)


def test_an_outer_step_has_one_evaluation_of_the_energy():
    assert respa_ms(1, 7.0, 2.0) == 7.0
    assert respa_ms(4, 7.0, 2.0) == 13.0


def test_both_sides_choose_their_steps_freely():
    c = [pace(step=h, fluctuation=0.02 * h * h) for h in (1.0, 2.0, 4.0)]  # 4 fs: 0.32
    respa = [
        pace(Forces("respa", m), 1.0, respa_ms(m, 10.0, 1.0), drift=0.01 * m) for m in (4, 8, 16)
    ]
    assert fastest(c, LIMITS, "conservative").inner_step_fs == 2.0
    assert fastest(respa, LIMITS, "respa").forces.inner_steps == 8
    # 10 ms / 2 fs against 17 ms / 8 fs
    assert fair_gain([*c, *respa], LIMITS) == pytest.approx((10.0 / 2.0) / (17.0 / 8.0))


def test_a_short_simulation_cannot_make_a_gain_look_larger():
    doubtful = {"drift": 0.08, "error": 0.05}
    c = [pace(step=1.0), pace(step=2.0, **doubtful)]
    respa = [pace(Forces("respa", 4), 1.0, 10.0), pace(Forces("respa", 8), 1.0, 10.0, **doubtful)]
    assert fair_gain([*c, *respa], LIMITS) == pytest.approx(2.0, rel=1e-12)


def test_a_fluctuation_near_the_limit_does_not_flip_the_gain():
    """Two seeds of one C, 0.09 and 0.11 with an error of 0.02: C has its step either way."""
    r = pace(Forces("respa", 4), 1.0, 10.0)
    gains = [
        fair_gain(
            [
                pace(step=1.0),
                pace(step=2.0, fluctuation=value, fluctuation_error_meV_per_atom=0.02),
                r,
            ],
            LIMITS,
        )
        for value in (0.09, 0.11)
    ]
    assert gains == pytest.approx([2.0, 2.0], rel=1e-12)


def test_without_anything_within_the_limits_there_is_no_gain():
    assert math.isnan(fair_gain([pace(drift=1.0), pace(Forces("respa", 2))], LIMITS))
    assert fastest([], LIMITS, "respa") is None


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_limits_are_positive(bad):
    with pytest.raises(ValueError, match="must be positive"):
        Limits(drift_meV_per_atom_per_ps=bad)
