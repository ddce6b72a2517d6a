"""Grids of orientations average exactly up to their degree."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mlip_engines.model.orientations import lebedev_orientations
from tolerances import EXACT


def polynomials(matrices, degree):
    """Products of ``degree`` elements of matrices (M, 3, 3), each in random axes: (20, M)."""
    left, right = np.random.default_rng(degree).normal(size=(2, 20, degree, 3))
    return np.einsum("pda,mab,pdb->pdm", left, matrices, right).prod(axis=1)


@pytest.mark.parametrize("degree", [1, 3, 5, 7, 11])
@pytest.mark.parametrize("inversion", [False, True])
def test_averages_of_polynomials_do_not_depend_on_where_the_grid_lies(degree, inversion):
    """A rotation of the structure turns the grid: what is exact for all rotations does not change."""
    grid = lebedev_orientations(degree, inversion=inversion)
    turn = Rotation.random(random_state=1).as_matrix()
    for order in range(grid.origin["degree"] + 1):
        averages = []
        for matrices in (grid.matrices, grid.matrices @ turn):
            averages.append(polynomials(matrices, order) @ grid.weights)
        scale = np.abs(averages[0]).max() + 1.0
        assert np.abs(averages[0] - averages[1]).max() < EXACT * scale * 10.0**order


def test_a_grid_is_not_exact_far_beyond_its_degree():
    grid = lebedev_orientations(3, inversion=False)
    turn = Rotation.random(random_state=1).as_matrix()
    # a fourth power of one element has a part that is no sum of Wigner functions up to 3
    found = [np.sum(grid.weights * m[:, 0, 0] ** 4) for m in (grid.matrices, grid.matrices @ turn)]
    assert abs(found[0] - found[1]) > 1e-3
    assert abs(found[0] - 1.0 / 5.0) > 1e-3  # the average over all directions


def test_fourth_powers_have_the_average_of_all_directions():
    grid = lebedev_orientations(5)
    np.testing.assert_allclose(grid.weights @ grid.matrices[:, 0, 0] ** 4, 1.0 / 5.0, atol=EXACT)


def test_the_grid_of_degree_three_is_the_rotation_group_of_the_cube():
    grid = lebedev_orientations(3, inversion=False)
    cube = Rotation.create_group("O").as_matrix()
    assert len(grid) == len(cube) == 24
    distance = np.abs(grid.matrices[:, None] - cube[None]).max(axis=(2, 3))
    assert sorted(distance.argmin(axis=1)) == list(range(24))
    assert distance.min(axis=1).max() < EXACT


def test_no_weight_is_negative_and_inversion_doubles_the_grid():
    for degree in (4, 13, 25):
        rotations, all_of_them = (lebedev_orientations(degree, inversion=i) for i in (False, True))
        assert len(all_of_them) == 2 * len(rotations)
        assert rotations.origin["degree"] > degree
        assert rotations.weights.min() > 0.0
        assert abs(rotations.weights.sum() - 1.0) < EXACT
        assert np.abs(np.linalg.det(rotations.matrices) - 1.0).max() < EXACT


@pytest.mark.parametrize("degree", [0, 132])
def test_degrees_without_a_rule_are_refused(degree):
    with pytest.raises(ValueError, match="between 1 and 131"):
        lebedev_orientations(degree)
