"""Pair distributions of an ideal gas and a crystal, and correlations of directions that are known."""

from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms

from mlip_engines.diagnostics.molecules import bonds, is_molecular, molecules, whole_molecule
from mlip_engines.diagnostics.orientation import (
    directions_of,
    orientational_correlation,
    orientations,
)
from mlip_engines.diagnostics.structure import (
    grouped,
    largest_difference,
    largest_radius,
    mean_of_blocks,
    pair_distribution,
)

CELL = np.array([[9.0, 0.0, 0.0], [1.0, 8.5, 0.0], [-0.5, 0.7, 9.5]])


def test_an_ideal_gas_has_no_structure():
    rng = np.random.default_rng(1)
    frames = [Atoms("Ar30Ne20", rng.random((50, 3)) @ CELL, cell=CELL, pbc=True) for _ in range(60)]
    for elements in (("Ar", "Ar"), ("Ar", "Ne")):
        r, g = pair_distribution(frames, elements, 0.999 * largest_radius(CELL), 10)
        # pairs in a shell are Poisson distributed
        volume = 4 * np.pi * r**2 * (r[1] - r[0])
        n_pairs = {("Ar", "Ar"): 30 * 29 / 2, ("Ar", "Ne"): 30 * 20}[elements]
        expected = 60 * n_pairs * volume / np.linalg.det(CELL)
        finite = 29 / 30 if elements == ("Ar", "Ar") else 1.0  # no atom is its own neighbour
        assert (np.abs(g - finite) < 5.0 / np.sqrt(expected)).all()


def test_a_crystal_has_twelve_nearest_neighbours(argon):
    r, g = pair_distribution([argon], ("Ar", "Ar"), 5.2, 520)
    shell = 4 * np.pi * r**2 * (r[1] - r[0]) * len(argon) / argon.get_volume()
    near = r < 4.5
    assert (g * shell)[near].sum() == pytest.approx(12.0, rel=0.01)
    assert r[near][np.argmax(g[near])] == pytest.approx(5.3 / np.sqrt(2), abs=0.01)


def test_runs_that_stopped_are_left_out_and_without_conservative_ones_nothing_is_compared():
    whole = SimpleNamespace(stopped="", time_ps=np.arange(100.0), frame_time_ps=np.arange(100.0))
    ended = SimpleNamespace(
        stopped="not a number", time_ps=np.arange(40.0) / 100, frame_time_ps=np.arange(40.0)
    )
    found, words = grouped({"SVR.C.0": whole, "SVR.NC.0": ended, "SVR.M4.0": whole})
    assert set(found) == {"C", "M4"}
    assert words == ["A run with NC ended after 0.39 ps and is left out."]
    found, words = grouped({"SVR.C.0": ended, "SVR.M4.0": whole})
    assert found == {} and words[-1] == "There is no run with C to compare with."


def test_largest_radius_is_half_the_distance_of_faces():
    assert largest_radius(np.diag([4.0, 5.0, 6.0])) == pytest.approx(2.0)
    # a sheared cell of the same volume is thinner
    assert largest_radius(np.array([[4.0, 0, 0], [4.0, 4.0, 0], [0, 0, 9.0]])) == pytest.approx(
        np.sqrt(2.0)
    )


def test_random_directions_are_uncorrelated_and_equal_ones_are_not():
    rng = np.random.default_rng(2)
    centres = rng.random((40, 30, 3)) @ CELL
    cells = np.broadcast_to(CELL, (40, 3, 3))
    edges = np.linspace(0.0, largest_radius(CELL), 5)
    u = rng.normal(size=(40, 30, 3))
    u /= np.linalg.norm(u, axis=2, keepdims=True)
    random = orientational_correlation(centres, u, cells, edges)
    assert np.abs(random[1:]).max() < 0.05
    same = orientational_correlation(
        centres, np.broadcast_to([0.0, 0.6, 0.8], u.shape), cells, edges
    )
    np.testing.assert_allclose(same[1:], 1.0)


def test_the_direction_of_water_is_that_of_its_dipole():
    from ase.build import molecule

    water = molecule("H2O")
    dipole = water.positions[1:].mean(axis=0) - water.positions[0]
    centre, direction = orientations(
        water.positions[None], water.get_masses(), np.array([False, True, True])
    )
    np.testing.assert_allclose(direction[0], dipole / np.linalg.norm(dipole), atol=1e-12)
    np.testing.assert_allclose(centre[0], water.get_center_of_mass(), atol=1e-12)


def test_molecules_are_found_across_the_boundary():
    from ase.build import molecule

    water = molecule("H2O")
    box = water.copy()
    box.positions += [0.0, 0.0, -0.2]
    other = water.copy()
    other.positions += [4.0, 4.0, 4.0]
    box += other
    box.cell, box.pbc = [8.0, 8.0, 8.0], True
    box.wrap()
    groups = molecules(box)
    assert [list(g) for g in groups] == [[0, 1, 2], [3, 4, 5]]
    assert len(bonds(box)) == 4
    assert is_molecular(box)
    whole = whole_molecule(box, groups[0])
    np.testing.assert_allclose(whole - whole[0], water.positions - water.positions[0], atol=1e-12)
    _, directions = directions_of(box, groups, box.positions[None], box.cell.array[None])
    np.testing.assert_allclose(directions[0, 0], directions[0, 1], atol=1e-12)


def test_a_metal_is_not_molecular():
    from ase.build import bulk

    copper = bulk("Cu", cubic=True).repeat(2)
    assert len(molecules(copper)) == 1
    assert not is_molecular(copper)


def test_differences_are_compared_with_their_errors():
    arrays = {"r_angstrom": np.array([1.0, 2.0, 3.0])}
    arrays |= {"g_C": np.array([0.0, 1.0, 1.0]), "g_C_error": np.array([0.0, 0.03, 0.03])}
    arrays |= {"g_NC": np.array([0.0, 1.2, 1.05]), "g_NC_error": np.array([0.0, 0.04, 0.04])}
    found = largest_difference(arrays, "g", "NC")
    assert found == pytest.approx(
        {"difference": 0.2, "error": 0.05, "r_angstrom": 2.0, "beyond": 0.5}
    )


def test_mean_of_blocks():
    mean, error = mean_of_blocks(np.array([[1.0, 2.0], [3.0, 2.0]]))
    np.testing.assert_allclose(mean, [2.0, 2.0])
    np.testing.assert_allclose(error, [1.0, 0.0])
