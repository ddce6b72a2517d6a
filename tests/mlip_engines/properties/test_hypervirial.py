"""The temperature of positions that are drawn from a harmonic crystal of a known temperature."""

import ase.units
import numpy as np
import pytest

from mlip_engines import load_model
from mlip_engines.properties.hypervirial import (
    configurational_temperature,
    ratio_of_means,
)
from tests.exact_models import K

TEMPERATURE = 200.0  # K


@pytest.fixture
def drawn(cluster):
    """Structures from exp(-E/kT) of springs of the stiffness K between all pairs, the centre at rest."""
    random = np.random.default_rng(3)
    n = len(cluster)
    # E = K/2 sum_{i<j} |r_i - r_j|^2 about zero length: each mode but the centre has the stiffness n K
    width = np.sqrt(ase.units.kB * TEMPERATURE / (n * K))
    frames = []
    for _ in range(300):
        frame = cluster.copy()
        x = width * random.standard_normal((n, 3))
        frame.positions = x - x.mean(axis=0)
        frames.append(frame)
    return frames


def test_positions_of_a_temperature_have_it(linear_model, drawn):
    found = configurational_temperature(load_model(linear_model), drawn)
    assert set(found) == {"all", *drawn[0].get_chemical_symbols()}
    for estimate in found.values():
        assert estimate.error < 0.05 * TEMPERATURE
        assert abs(estimate.value - TEMPERATURE) < 4 * estimate.error


def test_the_temperature_grows_with_the_square_of_displacements(linear_model, drawn):
    model = load_model(linear_model)
    before = configurational_temperature(model, drawn)["all"].value
    for frame in drawn:
        frame.positions *= 1.1
    assert configurational_temperature(model, drawn)["all"].value == pytest.approx(
        1.21 * before, rel=1e-4
    )


def test_the_error_of_a_ratio_is_what_repetitions_show():
    random = np.random.default_rng(4)
    ratios = []
    for _ in range(200):
        below = 2.0 + random.standard_normal(400)
        estimate = ratio_of_means(3.0 * below + random.standard_normal(400), below)
        ratios.append((estimate.value - 3.0) / estimate.error)
    assert np.std(ratios) == pytest.approx(1.0, abs=0.25)


def test_structures_of_other_atoms_are_refused(linear_model, drawn):
    model = load_model(linear_model)
    with pytest.raises(ValueError, match="at least one structure"):
        configurational_temperature(model, [])
    with pytest.raises(ValueError, match="atoms of the first structure"):
        configurational_temperature(model, [drawn[0], drawn[1][:-1]])
