"""Edges out of a list of pairs, compiled and composed, against those of ASE at the same positions."""

import numpy as np
import pytest
import torch
from ase.neighborlist import neighbor_list

from mlip_engines.operators import composed_near_edges, near_edges
from structures import STRUCTURES
from tolerances import EXACT

CUTOFF, SKIN = 3.5, 0.8
FUNCTIONS = [near_edges, composed_near_edges]


def listed(atoms, reach):
    """Half a list of pairs from ASE, in random order, and the order of its edges."""
    i, j, images = neighbor_list("ijS", atoms, reach)
    rows = np.column_stack([i, j, images])
    other = np.column_stack([j, i, -images])
    half = rows[[tuple(a) < tuple(b) for a, b in zip(rows, other, strict=True)]]
    half = np.random.default_rng(0).permutation(half)
    both = np.concatenate([half, np.column_stack([half[:, 1], half[:, 0], -half[:, 2:]])])
    order = np.lexsort(both.T[::-1])
    pairs, images, order = half[:, :2].T, half[:, 2:], order
    return [torch.tensor(x.copy(), dtype=torch.int32) for x in (pairs, images, order)]


@pytest.mark.parametrize("name", ["triclinic", "cell_smaller_than_cutoff", "self_images"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_edges_equal_those_of_ase_wherever_the_atoms_have_moved(function, name):
    atoms = STRUCTURES[name]()
    rest = listed(atoms, CUTOFF + SKIN)
    cell = torch.tensor(atoms.cell.array)
    rng = np.random.default_rng(1)
    for _ in range(3):
        moved = atoms.copy()
        steps = rng.normal(size=(len(atoms), 3))
        moved.positions += 0.49 * SKIN * steps / np.linalg.norm(steps, axis=1, keepdims=True)
        edge_index, vectors, reverse = function(torch.tensor(moved.positions), cell, *rest, CUTOFF)
        i, j, images, expected = neighbor_list("ijSD", moved, CUTOFF)
        order = np.lexsort(np.column_stack([i, j, images]).T[::-1])
        assert torch.equal(edge_index, torch.tensor(np.stack([i, j])[:, order]))
        np.testing.assert_allclose(vectors, expected[order], rtol=0, atol=EXACT)
        assert torch.equal(vectors[reverse], -vectors)  # bit by bit
        assert torch.equal(edge_index[:, reverse], edge_index.flip(0))
        assert torch.equal(reverse[reverse], torch.arange(len(i)))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_vectors_are_differentiable_by_positions_and_cell(function):
    """Of x[j] - x[i] + n cell, with i, j and n from ASE, and twice, against central differences."""
    atoms = STRUCTURES["cell_smaller_than_cutoff"]()
    rest = listed(atoms, CUTOFF + SKIN)
    positions = torch.tensor(atoms.positions, requires_grad=True)
    cell = torch.tensor(atoms.cell.array, requires_grad=True)
    edge_index, vectors, _ = function(positions, cell, *rest, CUTOFF)
    weights = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(2)).double()
    by_positions, by_cell = torch.autograd.grad((vectors * weights).sum(), (positions, cell))

    i, j, images = neighbor_list("ijS", atoms, CUTOFF)
    order = np.lexsort(np.column_stack([i, j, images]).T[::-1])
    i, j, images = i[order], j[order], images[order]
    expected = np.zeros((len(atoms), 3))
    np.add.at(expected, j, weights.numpy())
    np.add.at(expected, i, -weights.numpy())
    np.testing.assert_allclose(by_positions, expected, rtol=0, atol=EXACT)
    np.testing.assert_allclose(by_cell, images.T @ weights.numpy(), rtol=0, atol=EXACT)
    assert images.any()

    def lengths(x, a):
        return torch.linalg.vector_norm(function(x, a, *rest, CUTOFF)[1], dim=1)

    assert torch.autograd.gradcheck(lengths, (positions, cell))
    assert torch.autograd.gradgradcheck(lengths, (positions, cell))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_pairs_no_edges(function):
    nothing = [torch.zeros(s, dtype=torch.int32) for s in ((2, 0), (0, 3), (0,))]
    edge_index, vectors, reverse = function(
        torch.zeros((4, 3), dtype=torch.float64), torch.eye(3).double(), *nothing, CUTOFF
    )
    assert edge_index.shape == (2, 0) and vectors.shape == (0, 3) and reverse.shape == (0,)
    assert edge_index.dtype == reverse.dtype == torch.int64


def test_a_list_that_does_not_fit_is_refused():
    atoms = STRUCTURES["triclinic"]()
    positions, cell = torch.tensor(atoms.positions), torch.tensor(atoms.cell.array)
    pairs, images, order = listed(atoms, CUTOFF + SKIN)
    with pytest.raises(RuntimeError, match=r"expected positions \(N, 3\), cell"):
        near_edges(positions, cell, pairs, images, order[:-1], CUTOFF)
    with pytest.raises(RuntimeError, match="in int32, got Double, Double, Long"):
        near_edges(positions, cell, pairs.long(), images, order, CUTOFF)
    with pytest.raises(IndexError, match="are not both among the 1 atoms"):
        near_edges(positions[:1], cell, pairs, images, order, CUTOFF)
    with pytest.raises(IndexError, match="pairs in both directions"):
        near_edges(positions, cell, pairs, images, order + 1, CUTOFF)
    with pytest.raises(RuntimeError, match="expected each pair once in each direction"):
        near_edges(positions, cell, pairs, images, order[[0, *range(len(order) - 1)]], CUTOFF)
