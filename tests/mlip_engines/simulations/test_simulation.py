"""Simulations as they are asked for."""

import pytest

from mlip_engines.simulations.simulation import (
    CONSERVATIVE,
    NON_CONSERVATIVE,
    Forces,
    Simulation,
)


@pytest.mark.parametrize("m", [1, 2, 3, 7, 16])
def test_a_run_is_whole_chunks_rows_and_frames(m):
    forces = Forces("respa", m)
    s = Simulation(forces, 2.5, row_every_fs=8.0, frame_every_fs=12.0)
    assert s.n_steps % s.n_chunks == 0
    per_chunk = s.n_steps // s.n_chunks
    assert per_chunk % s.row_every == 0 and per_chunk % s.frame_every == 0
    assert s.n_steps * s.outer_step_fs == pytest.approx(2500.0, rel=0.1)


def test_the_name_changes_with_every_setting():
    base = Simulation(CONSERVATIVE, 1.0)
    others = [
        Simulation(NON_CONSERVATIVE, 1.0),
        Simulation(CONSERVATIVE, 1.1),
        Simulation(CONSERVATIVE, 1.0, ensemble="svr"),
        Simulation(CONSERVATIVE, 1.0, seed=2),
        Simulation(CONSERVATIVE, 1.0, temperature_K=310.0),
    ]
    assert len({s.name for s in [base, *others]}) == 6
    assert base.name == Simulation(CONSERVATIVE, 1.0).name


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Forces("direct"), "forces must be one of"),
        (lambda: Forces("conservative", 4), "inner_steps"),
        (lambda: Simulation(CONSERVATIVE, 1.0, ensemble="nvt"), "ensemble must be one of"),
        (lambda: Simulation(CONSERVATIVE, -1.0), "duration_ps must be positive"),
        (lambda: Simulation(CONSERVATIVE, float("inf")), "duration_ps must be positive"),
        (lambda: Simulation(CONSERVATIVE, 1.0, time_constant_fs=0.0), "time_constant_fs must be"),
        (lambda: Simulation(CONSERVATIVE, 1.0, frame_every_fs=-1.0), "frame_every_fs must not be"),
        (lambda: Simulation(CONSERVATIVE, 1.0, chunks=-1), "chunks must not be negative"),
        (lambda: Simulation(CONSERVATIVE, 1.0, pressure_bar=float("nan")), "pressure_bar must be"),
        (
            lambda: Simulation(CONSERVATIVE, 1.0, "npt", non_conservative_stress=True),
            "goes with non-conservative forces only",
        ),
        (
            lambda: Simulation(NON_CONSERVATIVE, 1.0, non_conservative_stress=True),
            "goes with a barostat, ensemble 'nph' or 'npt', got 'nve'",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_what_is_of_the_wrong_kind_is_refused():
    with pytest.raises(TypeError, match="forces must be a Forces, .* got 'conservative'"):
        Simulation("conservative", 1.0)
    with pytest.raises(TypeError, match="a whole number of inner steps, got 2.5"):
        Forces("respa", 2.5)


def test_the_price_is_the_optimal_number_of_evaluations():
    """M - 1 of the head (10 ms) and one of everything (30 ms) in each outer step."""
    m8 = Simulation(Forces("respa", 8), 0.8, row_every_fs=8.0)
    assert m8.cost(30.0, 10.0) == pytest.approx(m8.n_steps * (30.0 + 70.0) / 1000.0)
    nc = Simulation(NON_CONSERVATIVE, 0.8, row_every_fs=8.0)
    assert nc.cost(30.0, 10.0) == pytest.approx(nc.n_steps * (10.0 + 30.0 / 16) / 1000.0)
