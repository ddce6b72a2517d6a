"""Forces and virials from edges against finite differences of an energy written in plain numpy."""

import numpy as np
import pytest
import torch

from mlip_engines.model.derivatives import (
    atomic_virials_from_edges,
    centroid_virials_from_edges,
    energy_gradient,
    forces_from_edges,
    remove_net_force,
    virial_from_edges,
)
from mlip_engines.model.neighbors import neighbor_graph
from structures import STRUCTURES
from tolerances import EXACT, FINITE_DIFFERENCE_FORCE, FINITE_DIFFERENCE_VIRIAL

NAMES = ["molecules", "triclinic", "cell_smaller_than_cutoff", "self_images", "wire"]
CUTOFF = 4.5
STEP = 1e-4  # Å, or strain


def energy(atoms) -> float:
    """Sum over directed edges of a function that treats the directions x, y, z differently."""
    x, y, z = neighbor_graph(atoms, CUTOFF).edge_vectors.numpy().T
    switch = (1 - (x**2 + y**2 + z**2) / CUTOFF**2) ** 4
    return float((switch * np.sin(x + 0.5 * y) * (1.0 + 0.3 * z)).sum())


def gradient(vectors: torch.Tensor) -> torch.Tensor:
    edges = vectors.clone().requires_grad_(True)
    x, y, z = edges.T
    switch = (1 - (edges * edges).sum(dim=1) / CUTOFF**2) ** 4
    return energy_gradient((switch * torch.sin(x + 0.5 * y) * (1.0 + 0.3 * z)).sum(), edges)


@pytest.mark.parametrize("name", NAMES)
def test_forces_equal_negative_energy_differences(name):
    atoms = STRUCTURES[name]()
    graph = neighbor_graph(atoms, CUTOFF)
    forces = forces_from_edges(graph.edge_index, gradient(graph.edge_vectors), graph.n_atoms)
    for k in range(min(3, len(atoms))):
        for axis in range(3):
            ends = []
            for sign in (1, -1):
                moved = atoms.copy()
                moved.positions[k, axis] += sign * STEP
                ends.append(energy(moved))
            expected = -(ends[0] - ends[1]) / (2 * STEP)
            assert float(forces[k, axis]) == pytest.approx(expected, abs=FINITE_DIFFERENCE_FORCE)


@pytest.mark.parametrize("name", NAMES)
def test_virial_equals_negative_strain_differences(name):
    atoms = STRUCTURES[name]()
    graph = neighbor_graph(atoms, CUTOFF)
    g = gradient(graph.edge_vectors)
    virial = virial_from_edges(graph.edge_vectors, g)
    for a in range(3):
        for b in range(3):
            ends = []
            for sign in (1, -1):
                deform = np.eye(3)
                deform[a, b] += sign * STEP  # r' = r @ deform: component b grows with r_a
                moved = atoms.copy()
                moved.set_cell(atoms.cell.array @ deform)
                moved.positions = atoms.positions @ deform
                ends.append(energy(moved))
            expected = -(ends[0] - ends[1]) / (2 * STEP)
            assert float(virial[a, b]) == pytest.approx(expected, abs=FINITE_DIFFERENCE_VIRIAL)
    for shared in (atomic_virials_from_edges, centroid_virials_from_edges):
        per_atom = shared(graph.edge_index, graph.edge_vectors, g, graph.n_atoms)
        torch.testing.assert_close(per_atom.sum(dim=0), virial, atol=EXACT, rtol=EXACT)


def test_an_energy_without_edges_has_no_gradient():
    edges = torch.zeros((0, 3), dtype=torch.float64, requires_grad=True)
    assert energy_gradient(torch.tensor(3.0), edges).shape == (0, 3)
    assert energy_gradient(edges.sum(), edges).shape == (0, 3)
    other = torch.ones(1, requires_grad=True)
    used = torch.ones((2, 3), requires_grad=True)
    assert bool((energy_gradient(other.sum(), used) == 0).all())


def test_net_force_is_taken_from_owned_atoms_alike():
    forces = torch.tensor([[1.0, 0, 0], [0, 2.0, 0], [5.0, 5.0, 5.0]], dtype=torch.float64)
    owned = torch.tensor([True, True, False])
    expected = torch.tensor([[0.5, -1.0, 0], [-0.5, 1.0, 0], [0, 0, 0]], dtype=torch.float64)
    assert torch.equal(remove_net_force(forces, owned), expected)
    nothing = torch.zeros(3, dtype=torch.bool)
    assert bool((remove_net_force(forces, nothing) == 0).all())
