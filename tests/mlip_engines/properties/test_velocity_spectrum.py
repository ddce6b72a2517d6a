"""Spectra of oscillators and of noise."""

import numpy as np
import pytest
from scipy.integrate import trapezoid

from mlip_engines.properties.velocity_spectrum import THZ_TO_PER_CM, power_spectrum


def test_the_spectrum_of_an_oscillator_is_a_line_at_its_frequency():
    time = 0.004 * np.arange(2000)
    frequency = 50.0  # THz, 1668 / cm
    velocities = np.cos(2 * np.pi * frequency * time)[:, None, None] * np.ones((1, 2, 3))
    wavenumber, density = power_spectrum(velocities, np.array([1.0, 16.0]), 0.004)
    step = wavenumber[1]
    assert wavenumber[np.argmax(density)] == pytest.approx(frequency * THZ_TO_PER_CM, abs=step)
    assert trapezoid(density, wavenumber) == pytest.approx(1.0)
    near = np.abs(wavenumber - frequency * THZ_TO_PER_CM) < 3 * step
    assert density[near].sum() * step > 0.99


def test_two_elements_share_a_spectrum_by_their_kinetic_energy():
    """At equal temperature m v^2 is the same for both: equal lines, whatever their masses."""
    time = 0.004 * np.arange(4000)
    velocities = np.zeros((len(time), 2, 3))
    velocities[:, 0] = np.cos(2 * np.pi * 20.0 * time)[:, None] / np.sqrt(1.0)
    velocities[:, 1] = np.cos(2 * np.pi * 70.0 * time)[:, None] / np.sqrt(16.0)
    wavenumber, density = power_spectrum(velocities, np.array([1.0, 16.0]), 0.004)
    low = wavenumber < 45.0 * THZ_TO_PER_CM
    assert density[low].sum() / density.sum() == pytest.approx(0.5, abs=0.01)


def test_white_noise_has_a_flat_spectrum():
    velocities = np.random.default_rng(1).normal(size=(4000, 40, 3))
    wavenumber, density = power_spectrum(velocities, np.ones(40), 0.01)
    inner = density[3:-3] * wavenumber[-1]
    assert inner == pytest.approx(1.0, abs=0.15)


def test_the_spectrum_of_an_ornstein_uhlenbeck_process_is_a_lorentzian():
    rate, step = 8.0, 0.01  # 1/ps, ps
    rng = np.random.default_rng(3)
    phi = np.exp(-rate * step)
    v = np.empty((30_000, 60))
    v[0] = rng.normal(size=60)
    noise = np.sqrt(1 - phi**2) * rng.normal(size=v.shape)
    for k in range(1, len(v)):
        v[k] = phi * v[k - 1] + noise[k]
    wavenumber, density = power_spectrum(v.reshape(-1, 20, 3), np.ones(20), step)
    omega = 2 * np.pi * wavenumber / THZ_TO_PER_CM  # 1/ps
    # of the sampled process, so that aliases are in it
    expected = (1 - phi**2) / (1 - 2 * phi * np.cos(omega * step) + phi**2)
    use = (omega > 20.0) & (
        omega < 250.0
    )  # leakage of a finite window is at the lowest frequencies
    found = density[use] / density[use].sum()
    np.testing.assert_allclose(found, expected[use] / expected[use].sum(), rtol=0.1)


def test_too_few_frames_are_refused():
    with pytest.raises(ValueError, match="at least 8"):
        power_spectrum(np.zeros((5, 2, 3)), np.ones(2), 0.01)
