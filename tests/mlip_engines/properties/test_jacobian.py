"""The asymmetry of a field whose Jacobian is known: J = L (x) (-k 1 - c Z), L the Laplacian of all pairs."""

import numpy as np
import pytest

from mlip_engines import load_model
from mlip_engines.properties.force_field import ForceField
from mlip_engines.properties.jacobian import (
    asymmetry,
    jacobian_asymmetry,
    jacobian_rows,
    nearest_atoms,
    pair_blocks,
    stochastic_asymmetry,
)
from tests.exact_models import CURL, K

# |k 1|^2 = 3 k^2 is the symmetric part of a block, |c Z|^2 = 2 c^2 the antisymmetric one
EXPECTED = np.sqrt(2 * CURL**2 / (3 * K**2 + 2 * CURL**2))
CUTOFF_ERROR = 1e-6  # the factor (1 - (r/20000)^2)^3 at a few Å


def test_asymmetry_of_a_known_curl(linear_model, cluster):
    field = ForceField(load_model(linear_model), cluster, conservative=False)
    jacobian = jacobian_rows(field, cluster.positions, np.arange(len(cluster)))
    assert asymmetry(jacobian) == pytest.approx(EXPECTED, rel=CUTOFF_ERROR)
    z = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])  # Z r = z x r
    n = len(cluster)
    laplacian = n * np.eye(n) - np.ones((n, n))
    expected = -np.kron(laplacian, K * np.eye(3) + CURL * z)
    np.testing.assert_allclose(jacobian, expected, atol=CUTOFF_ERROR * n * K)


def test_conservative_forces_have_none(linear_model, cluster):
    field = ForceField(load_model(linear_model), cluster, conservative=True)
    jacobian = jacobian_rows(field, cluster.positions, np.arange(len(cluster)))
    assert asymmetry(jacobian) < 1e-14


def test_rows_are_differences_of_forces(argon_model, argon):
    rng = np.random.default_rng(1)
    argon = argon.copy()
    argon.positions += 0.1 * rng.normal(size=argon.positions.shape)
    for conservative in (True, False):
        field = ForceField(load_model(argon_model), argon, conservative=conservative)
        (row,) = jacobian_rows(field, argon.positions, np.array([3]))[1:2]
        step = np.zeros_like(argon.positions)
        found = np.zeros_like(row)
        for k in range(row.size):
            step.flat[k] = 1e-5
            plus, minus = field.forces(argon.positions + step), field.forces(argon.positions - step)
            found[k] = (plus - minus)[3, 1] / 2e-5
            step.flat[k] = 0.0
        np.testing.assert_allclose(row, found, atol=1e-7)


def test_the_stochastic_estimate_is_within_its_error_of_the_exact_value():
    rng = np.random.default_rng(5)
    jacobian = rng.normal(size=(60, 60))
    jacobian = jacobian + 0.9 * jacobian.T
    exact = asymmetry(jacobian)
    ratios = []
    for seed in range(40):
        estimate = stochastic_asymmetry(
            lambda v: jacobian @ v,
            lambda v: jacobian.T @ v,
            60,
            32,
            np.random.default_rng(seed),
        )
        ratios.append((estimate.value - exact) / estimate.error)
    assert np.sqrt(np.mean(np.square(ratios))) == pytest.approx(1.0, abs=0.35)


def test_blocks_add_up_to_the_whole():
    jacobian = np.random.default_rng(6).normal(size=(12, 12))
    whole, anti = pair_blocks(jacobian)
    assert np.linalg.norm(whole) == pytest.approx(np.linalg.norm(jacobian))
    assert np.linalg.norm(anti) / np.linalg.norm(whole) == pytest.approx(asymmetry(jacobian))
    assert whole[1, 2] == pytest.approx(np.linalg.norm(jacobian[3:6, 6:9]))


def test_nearest_atoms_are_the_nearest(argon):
    chosen = nearest_atoms(argon, 13)  # an atom of a face-centred crystal and its twelve neighbours
    assert argon.get_distances(0, chosen[1:], mic=True) == pytest.approx(5.3 / np.sqrt(2))


def test_of_a_model_on_a_structure(linear_model, cluster):
    """All blocks are multiples of one matrix, and each probe gives almost the exact ratio."""
    model = load_model(linear_model)
    head = jacobian_asymmetry(model, cluster, n_probes=16)
    assert head.value == pytest.approx(EXPECTED, abs=5 * head.error + 1e-3)
    assert jacobian_asymmetry(model, cluster, conservative=True, n_probes=2).value < 1e-8


def test_a_model_without_head_is_refused(tmp_path, cluster):
    from mlip_train.potentials.analytic import HarmonicPair
    from tests.exact_models import write_model

    network = HarmonicPair(20.0, with_non_conservative_head=False)
    model = load_model(write_model(tmp_path / "plain.pt", network, ["Ar"]))
    with pytest.raises(ValueError, match="no head"):
        ForceField(model, cluster, conservative=False)
