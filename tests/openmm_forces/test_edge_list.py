"""The neighbour list inside the force: complete, reversed, sorted, and rebuilt when it has to be."""

import math

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list

from openmm_forces import RespaIntegrator, evaluation_counts
from openmm_forces.edge_list import EdgeList
from structures import STRUCTURES
from tests.openmm_forces.argon import argon, velocities
from tests.openmm_forces.runner import energy_of, make_context, positions_of
from tolerances import EXACT

CUTOFF = 3.5


def edges_of(edge_list, atoms):
    periodic = bool(atoms.pbc.all())
    return edge_list(torch.tensor(atoms.positions), torch.tensor(atoms.cell.array), periodic)


def rows(i, j, vectors):
    """Edges as sorted rows, to compare lists in different orders."""
    table = np.column_stack([i, j, np.round(vectors, 7) + 0.0])
    return table[np.lexsort(table.T[::-1])]


@pytest.mark.parametrize("skin", [0.0, 1.3])
@pytest.mark.parametrize("name", sorted(set(STRUCTURES) - {"slab", "wire"}))
def test_edges_equal_those_of_ase(name, skin):
    atoms = STRUCTURES[name]()
    edge_index, vectors, _ = edges_of(EdgeList(CUTOFF, skin), atoms)
    i, j, D = neighbor_list("ijD", atoms, CUTOFF)
    found = rows(*edge_index.numpy(), vectors.numpy())
    np.testing.assert_allclose(found, rows(i, j, D), rtol=0, atol=1e-6)


@pytest.mark.parametrize("periodic", [False, True])
def test_pairs_far_apart_in_a_wide_flat_box(periodic):
    """A gas in a slit: a cell list with a limited number of cells has less than one across it."""
    rng = np.random.default_rng(3)
    first = rng.uniform([0, 0, 0], [1600, 1600, 2], size=(100, 3))
    positions = np.concatenate([first, first + rng.uniform(-2, 2, size=(100, 3)) * [1, 1, 0.2]])
    atoms = Atoms("O200", positions, cell=[1600, 1600, 4.2], pbc=periodic)
    edge_list = EdgeList(CUTOFF, 1.0)
    edge_index, vectors, reverse = edges_of(edge_list, atoms)
    i, j, D = neighbor_list("ijD", atoms, CUTOFF)
    assert len(i) > 150
    found = rows(*edge_index.numpy(), vectors.numpy())
    np.testing.assert_allclose(found, rows(i, j, D), rtol=0, atol=1e-6)
    assert torch.equal(vectors[reverse], -vectors)
    # What the wider search found besides is not kept for the steps to come.
    listed = neighbor_list("i", atoms, CUTOFF + 1.0)
    assert 2 * edge_list.pairs.shape[1] == len(listed)


@pytest.mark.parametrize("name", ["triclinic", "cell_smaller_than_cutoff", "self_images"])
def test_edges_are_sorted_and_reversed(name):
    atoms = STRUCTURES[name]()
    edge_list = EdgeList(CUTOFF, 1.0)
    for displacement in (0.0, 0.2):  # the second from the list of the first
        atoms.positions += displacement * np.random.default_rng(1).uniform(-1, 1, (len(atoms), 3))
        (i, j), vectors, reverse = edges_of(edge_list, atoms)
        found = neighbor_list("ijS", atoms, CUTOFF)
        order = np.lexsort(np.column_stack(found).T[::-1])  # by centre, neighbour and image
        assert torch.equal(i, torch.tensor(found[0][order]))
        assert torch.equal(j, torch.tensor(found[1][order]))
        expected = neighbor_list("D", atoms, CUTOFF)[order]
        np.testing.assert_allclose(vectors, expected, rtol=0, atol=EXACT)
        assert torch.equal(i[reverse], j) and torch.equal(j[reverse], i)
        assert torch.equal(vectors[reverse], -vectors)  # bit by bit
        assert torch.equal(reverse[reverse], torch.arange(len(i)))
        assert torch.all(vectors.norm(dim=1) < CUTOFF)
    assert edge_list.rebuilds == 1


@pytest.mark.parametrize("distance, rebuilds", [(0.49, 1), (0.51, 2)])
def test_list_is_rebuilt_after_half_the_skin(distance, rebuilds):
    atoms = STRUCTURES["triclinic"]()
    edge_list = EdgeList(CUTOFF, 1.0)
    edges_of(edge_list, atoms)
    atoms.positions[4] += distance * np.array([0.6, 0.0, 0.8])
    edges_of(edge_list, atoms)
    assert edge_list.rebuilds == rebuilds


def test_list_is_rebuilt_for_another_cell():
    atoms = STRUCTURES["triclinic"]()
    edge_list = EdgeList(CUTOFF, 1.0)
    edges_of(edge_list, atoms)
    atoms.set_cell(atoms.cell.array * 1.001)
    edge_index, vectors, _ = edges_of(edge_list, atoms)
    i, j, D = neighbor_list("ijD", atoms, CUTOFF)
    found = rows(*edge_index.numpy(), vectors.numpy())
    np.testing.assert_allclose(found, rows(i, j, D), rtol=0, atol=1e-6)


@pytest.mark.parametrize("boxes, is_right", [(0.99e8, True), (1.01e8, False), (math.nan, False)])
def test_atoms_absurdly_far_outside_the_box(boxes, is_right):
    """Images are counted in 32 bits: beyond that no edges, rather than wrong ones."""
    atoms = STRUCTURES["triclinic"]()
    n_edges = edges_of(EdgeList(CUTOFF, 1.0), atoms)[2].numel()
    atoms.positions[3] += boxes * atoms.cell.array[0]
    if is_right:
        assert abs(edges_of(EdgeList(CUTOFF, 1.0), atoms)[2].numel() - n_edges) < 3  # rounding
        return
    with pytest.raises(ValueError, match="expected atoms within .* boxes of the origin"):
        edges_of(EdgeList(CUTOFF, 1.0), atoms)


def test_atoms_far_outside_the_box():
    atoms = STRUCTURES["triclinic"]()
    reference = edges_of(EdgeList(CUTOFF, 1.0), atoms)
    atoms.positions[::2] += np.array([3000, -2000, 1000]) @ atoms.cell.array
    edge_index, vectors, reverse = edges_of(EdgeList(CUTOFF, 1.0), atoms)
    assert torch.equal(edge_index, reference[0]) and torch.equal(reverse, reference[2])
    np.testing.assert_allclose(vectors, reference[1], rtol=0, atol=1e-9)


def test_reuse_of_the_list_does_not_change_a_trajectory(models, any_host):
    """Hot argon, whose atoms cross the skin several times, against a list built at every step."""
    results = {}
    for skin in (0.0, 0.03, 0.1):
        integrator = RespaIntegrator(0.016, 4)
        context = make_context(
            argon(),
            models["argon"],
            integrator,
            velocities=velocities(32, temperature=300.0),
            skin=skin,
            host=any_host,
        )
        integrator.step(40)
        results[skin] = positions_of(context), evaluation_counts(context).list_rebuilds
    assert results[0.0][1] > 150 > results[0.03][1] > results[0.1][1] > 2
    for skin in (0.03, 0.1):
        np.testing.assert_allclose(results[skin][0], results[0.0][0], rtol=0, atol=EXACT)


def test_moving_by_lattice_vectors_changes_nothing(models, host):
    context = make_context(argon(), models["argon"], host=host)
    energy = energy_of(context.getState(getEnergy=True))
    moved = argon()
    moved.positions[3] += moved.cell.array[0] - 2 * moved.cell.array[2]
    context.setPositions(moved.positions / 10.0)
    assert energy_of(context.getState(getEnergy=True)) == pytest.approx(energy, abs=1e-9, rel=0)
