"""Work around loops in a field whose curl is known, and in one that has an energy."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from mlip_engines import load_model
from mlip_engines.properties.force_field import ForceField
from mlip_engines.properties.work import circle, loop_work, rotation_and_stretch
from tests.exact_models import CURL

X, Y = np.eye(3)[:2]


def test_work_around_a_circle_is_curl_times_area(linear_model):
    """Atom j feels c z x (r_i - r_j): its work on a circle of radius R about any place is -2 c pi R^2."""
    pair = Atoms("Ar2", [[0.0, 0.0, 0.0], [1.0, 0.4, -0.3]])
    field = ForceField(load_model(linear_model), pair, conservative=False)
    work, sums = loop_work(field.forces, circle(pair.positions, 1, X, Y, 0.3), 32)
    assert work == pytest.approx(-2.0 * CURL * np.pi * 0.3**2, rel=1e-5)
    assert sums[0] == 0.0 and sums[-1] == work
    # the other way round, and in a plane that contains the axis
    back, _ = loop_work(field.forces, circle(pair.positions, 1, Y, X, 0.3), 32)
    assert back == pytest.approx(-work, rel=1e-5)
    upright, _ = loop_work(field.forces, circle(pair.positions, 1, X, np.eye(3)[2], 0.3), 32)
    assert abs(upright) < 1e-6


def test_conservative_forces_do_no_work(argon_model, argon):
    field = ForceField(load_model(argon_model), argon, conservative=True)
    work, sums = loop_work(field.forces, circle(argon.positions, 5, X, Y, 0.4), 64)
    assert abs(work) < 1e-9
    assert np.abs(sums).max() > 1e-4  # it was not a path without forces


def test_the_path_of_a_molecule_is_closed_and_its_velocity_is_its_derivative():
    water = molecule("H2O")
    axis = np.array([0.6, 0.0, 0.8])
    path = rotation_and_stretch(
        water.positions, np.arange(3), water.positions, axis, angle=np.pi / 6, stretch=0.1
    )
    np.testing.assert_allclose(path(0.0)[0], path(1.0)[0], atol=1e-12)
    h = 1e-6
    for s in (0.1, 0.45, 0.8):
        slope = (path(s + h)[0] - path(s - h)[0]) / (2 * h)
        np.testing.assert_allclose(path(s)[1], slope, atol=1e-8)
    # out of phase: the molecule is not stretched where it is turned most
    quarter = path(0.25)[0]
    lengths = np.linalg.norm(quarter - quarter.mean(axis=0), axis=1)
    expected = np.linalg.norm(water.positions - water.positions.mean(axis=0), axis=1)
    np.testing.assert_allclose(lengths, expected, atol=1e-12)


def test_an_open_path_is_refused():
    def path(s):
        return np.array([[s, 0.0, 0.0]]), np.array([[1.0, 0.0, 0.0]])

    with pytest.raises(ValueError, match="closed path"):
        loop_work(lambda x: x, path, 8)
