"""The drift of series and runs whose slope is known."""

import numpy as np
import pytest

from mlip_engines.simulations.drift import conservation, energy_drift, energy_fluctuation
from mlip_engines.simulations.kinetics import temperatures
from mlip_engines.simulations.statistics import mean_and_error
from mlip_engines.units import BOLTZMANN_EV_PER_KELVIN
from tests.mlip_engines.simulations.trajectories import trajectory


def test_drift_and_heating_of_a_known_line(argon):
    time = np.linspace(0.0, 2.0, 400)
    rng = np.random.default_rng(2)
    energy = -100.0 + 0.032 * time + 1e-4 * rng.normal(size=400)  # 1 meV/atom/ps for 32 atoms
    kelvin = 3 * 31 * BOLTZMANN_EV_PER_KELVIN / 2
    run = trajectory(time, kelvin * (80.0 + 3.0 * time), energy)
    found = conservation(argon, [run])
    assert found.drift.value == pytest.approx(1.0, abs=0.01)
    assert found.drift.error < 0.01
    assert found.heating.value == pytest.approx(3.0)
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
    found = conservation(argon, [run])
    expected = 1000.0 * growth * energy.sum() / 32
    limit = 1e-9 + 1e-6 * expected
    assert found.drift.value == pytest.approx(expected, abs=limit)
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
    stopped = conservation(argon, [trajectory(time, kinetic, energy, stopped="exploded")])
    assert stopped.heating.value == pytest.approx(20.0, rel=0.05)
    assert stopped.drift.value == pytest.approx(1000.0 / 32, rel=0.05)
    assert stopped.picoseconds == pytest.approx(2.2)
    assert conservation(argon, [trajectory(time, kinetic, energy)]).heating.value > 60.0


def test_the_first_tenth_is_left_out():
    time = np.linspace(0.0, 1.0, 100)
    energy = np.where(time < time[10], 7.0, -0.2 * time)
    assert energy_drift(time, energy, 50).value == pytest.approx(-4.0, abs=1e-9)
    assert energy_drift(time[:4], -0.2 * time[:4], 50).value == pytest.approx(
        -4.0
    )  # too few to leave out


def test_runs_are_averaged_and_their_scatter_counts(argon):
    time = np.linspace(0.0, 1.0, 50)
    kinetic = np.ones(50)
    runs = [trajectory(time, kinetic, 0.032 * rate * time) for rate in (1.0, 3.0)]
    found = conservation(argon, runs)
    assert found.drift == pytest.approx((2.0, 1.0))  # a scatter of sqrt(2), over sqrt(2) runs
    assert found.heating.value == pytest.approx(0.0, abs=1e-9)
    assert found.picoseconds == 2.0 and found.stopped == ""


def test_the_fluctuation_is_about_the_line(argon):
    time = np.linspace(0.0, 10.0, 1001)
    energy = 0.5 * time + 0.064 * np.sin(40.0 * time)  # of a sine, 1/sqrt(2) of its amplitude
    found = conservation(argon, [trajectory(time, np.ones(1001), energy)])
    assert found.fluctuation_meV_per_atom == pytest.approx(2.0 / np.sqrt(2.0), rel=0.02)


def test_the_error_of_a_fluctuation_is_the_scatter_of_repeated_runs(argon):
    """Of n normal numbers the standard deviation is known to 1 / sqrt(2 n); correlation makes it worse."""
    random = np.random.default_rng(3)
    time = np.linspace(0.0, 2.0, 400)
    for memory in (0.0, 0.9):  # of an autoregressive series
        values, errors = [], []
        for _ in range(200):
            energy = random.normal(size=400)
            for k in range(1, 400):
                energy[k] = memory * energy[k - 1] + np.sqrt(1.0 - memory**2) * energy[k]
            found = energy_fluctuation(time, energy, len(argon))
            values.append(found.value)
            errors.append(found.error)
        assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)
        if memory == 0.0:
            expected = np.mean(values) / np.sqrt(2.0 * 360)
            assert np.mean(errors) == pytest.approx(expected, rel=0.15)


def test_a_run_that_ended_at_once_has_no_drift(argon):
    run = trajectory([0.0, 0.1], [1.0, 9.0], [0.0, 50.0], stopped="lost atoms")
    found = conservation(argon, [run])
    assert np.isnan(found.drift.value) and found.final_temperatures_K == {}
    assert found.stopped == "lost atoms" and found.picoseconds == pytest.approx(0.1)
