"""Simulations as they are asked for, and trajectories as they are put together."""

from dataclasses import fields

import numpy as np
import pytest

from mlip_engines.diagnostics.nve import summary
from mlip_engines.simulations.drift import energy_drift
from mlip_engines.simulations.kinetics import degrees_of_freedom, temperatures
from mlip_engines.simulations.simulation import (
    CONSERVATIVE,
    NON_CONSERVATIVE,
    Forces,
    Simulation,
)
from mlip_engines.simulations.statistics import mean_and_error
from mlip_engines.simulations.thermostats import high_pass_matrix, white_noise_matrix
from mlip_engines.simulations.trajectory import Trajectory
from mlip_engines.units import BOLTZMANN_EV_PER_KELVIN


def trajectory(time_ps, kinetic, conserved, **changes):
    n = len(time_ps)
    values = {
        "time_ps": np.asarray(time_ps, float),
        "potential_eV": np.zeros(n),
        "kinetic_eV": np.asarray(kinetic, float).reshape(n, -1),
        "conserved_eV": np.asarray(conserved, float),
        "pressure_bar": np.zeros(n),
        "cell": np.zeros((n, 3, 3)),
        "frame_time_ps": np.zeros(0),
        "positions": np.zeros((0, 0, 3)),
        "velocities": np.zeros((0, 0, 3)),
        "frame_cell": np.zeros((0, 3, 3)),
        "evaluations": np.array([[3, 1]]),
        "seconds": np.array([1.0]),
        "n_steps": np.array([4]),
        **changes,
    }
    return Trajectory(**values)


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
        (lambda: Simulation(CONSERVATIVE, 1.0, non_conservative_stress=True), "stress"),
        (lambda: Trajectory.join([]), "at least one chunk"),
    ],
)
def test_what_makes_no_sense_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_the_price_is_the_optimal_number_of_evaluations():
    """M - 1 of the head (10 ms) and one of everything (30 ms) in each outer step."""
    m8 = Simulation(Forces("respa", 8), 0.8, row_every_fs=8.0)
    assert m8.cost(30.0, 10.0) == pytest.approx(m8.n_steps * (30.0 + 70.0) / 1000.0)
    nc = Simulation(NON_CONSERVATIVE, 0.8, row_every_fs=8.0)
    assert nc.cost(30.0, 10.0) == pytest.approx(nc.n_steps * (10.0 + 30.0 / 16) / 1000.0)


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


def test_degrees_of_freedom_are_those_of_the_system():
    from ase.build import molecule

    water = molecule("H2O")
    freedom = degrees_of_freedom(water, momentum_is_free=False)
    assert freedom.sum() == pytest.approx(6.0)
    assert freedom[0] == pytest.approx(6.0 - 3.0 * 2 * 1.008 / 18.015, rel=1e-4)
    assert degrees_of_freedom(water, momentum_is_free=True).sum() == 9.0


def test_drift_and_heating_of_a_known_line(argon):
    time = np.linspace(0.0, 2.0, 400)
    rng = np.random.default_rng(2)
    energy = -100.0 + 0.032 * time + 1e-4 * rng.normal(size=400)  # 1 meV/atom/ps for 32 atoms
    kelvin = 3 * 31 * BOLTZMANN_EV_PER_KELVIN / 2
    run = trajectory(time, kelvin * (80.0 + 3.0 * time), energy)
    found = summary(argon, [run])
    assert found["drift_meV_per_atom_per_ps"] == pytest.approx(1.0, abs=0.01)
    assert found["drift_meV_per_atom_per_ps_error"] < 0.01
    assert found["heating_K_per_ps"] == pytest.approx(3.0)
    assert energy_drift(time, energy, 32).value == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("growth", [0.0, 0.02])
def test_temperature_and_drift_of_harmonic_oscillators(argon, growth):
    """x = A cos(ωt + φ): half of the energy is kinetic, whatever the phases; a driven one gains at a known rate."""
    rng = np.random.default_rng(3)
    time = np.linspace(0.0, 4.0, 4001)  # ps
    frequency, phase = rng.uniform(20.0, 60.0, 93), rng.uniform(0.0, 2 * np.pi, 93)  # rad/ps
    energy = rng.exponential(BOLTZMANN_EV_PER_KELVIN * 80.0, 93)  # eV, of each
    angle = frequency * time[:, None] + phase
    scale = 1.0 + growth * time
    kinetic = scale * (energy * np.sin(angle) ** 2).sum(axis=1)
    potential = scale * (energy * np.cos(angle) ** 2).sum(axis=1)
    run = trajectory(time, kinetic, kinetic + potential, potential_eV=potential)
    found = summary(argon, [run])
    expected = 1000.0 * growth * energy.sum() / 32
    limit = 1e-9 + 1e-6 * expected
    assert found["drift_meV_per_atom_per_ps"] == pytest.approx(expected, abs=limit)
    mean = scale.mean() * energy.sum() / 2.0 / (93 * BOLTZMANN_EV_PER_KELVIN / 2.0)
    series = temperatures(argon, run, "nve")["all"]
    estimate = mean_and_error(series)
    assert abs(estimate.value - mean) < 4.0 * estimate.error < 0.05 * mean


def test_rates_of_an_explosion_are_those_of_what_led_to_it(argon):
    """20 K/ps for 2 ps, then a hundred times more, and the engine stops."""
    time = np.linspace(0.0, 2.2, 441)
    kelvin = np.where(time < 2.0, 100.0 + 20.0 * time, 140.0 + 2000.0 * (time - 2.0))
    energy = 0.05 * (kelvin - 100.0)  # 1 eV/ps at first
    kinetic = 3 * 31 * BOLTZMANN_EV_PER_KELVIN / 2 * kelvin
    stopped = summary(argon, [trajectory(time, kinetic, energy, stopped="exploded")])
    assert stopped["heating_K_per_ps"] == pytest.approx(20.0, rel=0.05)
    assert stopped["drift_meV_per_atom_per_ps"] == pytest.approx(1000.0 / 32, rel=0.05)
    assert stopped["picoseconds"] == pytest.approx(2.2)
    assert summary(argon, [trajectory(time, kinetic, energy)])["heating_K_per_ps"] > 60.0


def test_a_high_pass_thermostat_leaves_slow_motions_alone():
    a = high_pass_matrix(100.0, 200.0)
    assert np.linalg.eigvalsh(a + a.T).min() > -1e-9  # canonical sampling is possible
    for omega in (0.0, 50.0, 200.0, 5000.0):
        # eliminating the auxiliary momentum: a_pp - a_ps (a_ss + i omega)^-1 a_sp
        friction = (a[0, 0] - a[0, 1] * a[1, 0] / (a[1, 1] + 1j * omega)).real
        assert friction == pytest.approx(100.0 * omega**2 / (omega**2 + 200.0**2), abs=1e-9)
    np.testing.assert_array_equal(white_noise_matrix(5.0), [[5.0, 0.0], [0.0, 5.0]])
