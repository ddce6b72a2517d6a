"""The figures of the page on theory say what can be derived on paper."""

import runpy

import numpy as np
import pytest

from tests.docs.documents import ROOT

THEORY = runpy.run_path(str(ROOT / "docs" / "know" / "theory.py"))


def energies(fast, slow, inner_steps, outer_steps, step):
    force = {name: THEORY[name] for name in ("conservative", "non_conservative", "correction")}
    return THEORY["energies"](force[fast], force.get(slow), inner_steps, outer_steps, step)


def test_a_swirl_heats_an_orbit_at_the_rate_of_the_paper():
    # z'' = (-1 + i s) z for z = x + i y: the amplitude grows with the real part of sqrt(-1 + i s).
    turns, energy = energies("non_conservative", None, 1, 4000, 0.01)
    rate = np.polyfit(2 * np.pi * turns, np.log(energy), 1)[0]
    assert rate == pytest.approx(2 * np.sqrt(-1 + 1j * THEORY["SWIRL"]).real, rel=0.01)


def test_respa_follows_the_energy_that_the_inner_force_does_not_have():
    _, conserved = energies("conservative", None, 1, 2600, 0.05)
    _, respa = energies("non_conservative", "correction", 4, 650, 0.05)
    _, heated = energies("non_conservative", None, 1, 2600, 0.05)
    # Bounded, by errors of the second order of the outer step, where the inner force alone multiplies the energy.
    assert np.abs(conserved / conserved[0] - 1).max() < 0.002
    assert np.abs(respa / respa[0] - 1).max() < 0.01
    assert heated[-1] / heated[0] > 10


def test_the_vibration_is_unstable_at_half_periods_and_nowhere_before():
    # The matrix of one outer step, written out: half a kick, exact motion, half a kick.
    period, part = 9.5, 0.05
    w = 2 * np.pi / period
    w0 = w * np.sqrt(1 - part)
    steps = np.linspace(0.2, 12.0, 2000)
    expected = []
    for T in steps:
        kick = np.array([[1.0, 0.0], [-0.5 * T * part * w**2, 1.0]])
        c, s = np.cos(w0 * T), np.sin(w0 * T)
        move = np.array([[c, s / w0], [-w0 * s, c]])
        largest = np.abs(np.linalg.eigvals(kick @ move @ kick)).max()
        expected.append(1000 * np.log(largest) / T)
    found = THEORY["growth"](steps, period, part)
    np.testing.assert_allclose(found, expected, atol=1e-4)  # 1/ps; a root of rounding at the edge
    assert found[steps < 0.95 * period / 2].max() < 1e-3
    first = found[np.abs(steps - period / 2) < 0.5]
    assert first.max() > 5
