"""The graph against ASE's neighbour list, an independent implementation."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from scipy.spatial.transform import Rotation

from mlip_engines.model.neighbors import LARGEST_OPEN_EXTENT, neighbor_graph
from structures import STRUCTURES
from tolerances import EXACT


def sorted_edges(i, j, vectors):
    """Edges as rows (i, j, x, y, z) in an order that depends on nothing else."""
    rows = np.column_stack([i, j, np.asarray(vectors).reshape(-1, 3)])
    return rows[np.lexsort(np.round(rows, 6).T[::-1])]


def transformed(atoms: Atoms, transform: str) -> Atoms:
    """Turn, move or invert atoms and cell together; the seed is fixed, so failures repeat."""
    if transform == "rotated":
        matrix = Rotation.from_rotvec([0.4, -1.1, 2.0]).as_matrix()
        atoms.set_cell(atoms.cell.array @ matrix)
        atoms.positions = atoms.positions @ matrix
    elif transform == "inverted":
        atoms.positions = -atoms.positions
    elif transform == "translated":
        atoms.positions += [13.7, -5.1, 0.9]
    return atoms


@pytest.mark.parametrize("transform", ["as_is", "rotated", "inverted", "translated"])
@pytest.mark.parametrize("cutoff", [1.2, 3.0, 6.3])
@pytest.mark.parametrize("name", STRUCTURES)
def test_edges_equal_ase_neighbour_list(name, cutoff, transform):
    atoms = transformed(STRUCTURES[name](), transform)
    graph = neighbor_graph(atoms, cutoff)
    expected = sorted_edges(*neighbor_list("ijD", atoms, cutoff))
    found = sorted_edges(*graph.edge_index.numpy(), graph.edge_vectors.numpy())
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT)


@pytest.mark.parametrize("name", STRUCTURES)
def test_edges_are_sorted_by_centre_and_paired(name):
    graph = neighbor_graph(STRUCTURES[name](), 5.0)
    reverse = graph.reverse_edge
    assert bool((graph.edge_index[0].diff() >= 0).all())
    assert torch.equal(graph.edge_index[:, reverse], graph.edge_index.flip(0))
    assert torch.equal(graph.edge_vectors[reverse], -graph.edge_vectors)
    assert torch.equal(reverse[reverse], torch.arange(graph.n_edges))
    assert graph.edge_vectors.dtype == torch.float64
    assert bool(graph.owned.all())


def test_structures_have_what_their_names_promise():
    edges = {name: neighbor_graph(build(), 3.5) for name, build in STRUCTURES.items()}
    assert edges["single_atom"].n_edges == edges["no_neighbours"].n_edges == 0
    images = edges["self_images"].edge_index
    assert images.shape[1] > 0
    assert bool((images[0] == images[1]).all())
    assert edges["unwrapped"].n_edges == edges["triclinic"].n_edges
    assert edges["slab"].n_edges < edges["triclinic"].n_edges


def test_an_edge_of_exactly_the_cutoff_is_left_out():
    atoms = Atoms("H2", [[0, 0, 0], [2.0, 0, 0]])
    assert neighbor_graph(atoms, 2.0).n_edges == 0
    assert neighbor_graph(atoms, np.nextafter(2.0, 3.0)).n_edges == 2


def test_atoms_far_outside_a_periodic_cell_have_their_neighbours():
    atoms = STRUCTURES["orthogonal"]()
    expected = neighbor_graph(atoms, 4.0)
    atoms.positions[0] += atoms.cell.array.T @ [400, -300, 200]
    found = neighbor_graph(atoms, 4.0)
    np.testing.assert_allclose(
        sorted_edges(*found.edge_index, found.edge_vectors),
        sorted_edges(*expected.edge_index, expected.edge_vectors),
        atol=EXACT,
    )


def test_a_lattice_vector_without_periodicity_is_not_read():
    atoms = STRUCTURES["slab"]()
    expected = neighbor_graph(atoms, 4.0)
    atoms.cell[2] = atoms.cell[0]  # would make the cell singular
    assert torch.equal(neighbor_graph(atoms, 4.0).edge_vectors, expected.edge_vectors)


@pytest.mark.parametrize(
    ("atoms", "cutoff", "message"),
    [
        (Atoms("H", [[np.nan, 0, 0]]), 3.0, "positions must be finite.*atom 0"),
        (Atoms("H2", [[0, 0, 0], [0, np.inf, 0]]), 3.0, "positions must be finite.*atom 1"),
        (Atoms("H", pbc=True), 3.0, "switch pbc off"),
        (Atoms("H", cell=[1, 1, 0], pbc=True), 3.0, "switch pbc off"),
        (Atoms("H", cell=[[1, 0, 0], [2, 0, 0], [0, 0, 1]], pbc=True), 3.0, "independent"),
        (Atoms("H", cell=[np.nan, 1, 1], pbc=True), 3.0, "cell must be finite"),
        (Atoms("H"), 0.0, "cutoff must be positive"),
        (Atoms("H"), np.inf, "cutoff must be positive and finite"),
        (Atoms("H2", [[0, 0, 0], [0, 0, 2e4]]), 3.0, "blown up"),
        (Atoms("H2", [[0, 0, 0], [2, 9, 2e4]], cell=[3, 3, 3], pbc=[1, 1, 0]), 3.0, "blown up"),
    ],
)
def test_bad_input_is_refused(atoms, cutoff, message):
    with pytest.raises(ValueError, match=message):
        neighbor_graph(atoms, cutoff)


@pytest.mark.parametrize("pbc", [[0, 0, 0], [0, 0, 1], [1, 0, 1], [1, 1, 0], [1, 1, 1]])
@pytest.mark.parametrize("axes", [[0], [0, 1], [0, 1, 2]])
def test_wide_structures_are_searched(axes, pbc):
    """A cell list with a limited number of cells has less than one across a wide, flat structure."""
    wide = 0.5 * LARGEST_OPEN_EXTENT
    end = np.zeros(3)
    end[axes] = wide
    cell = np.where(end > 0, wide + 10.0, 4.1)
    atoms = Atoms("H4", [[0, 0, 0], [0, 0, 1], end, end + [0, 1, 0]], cell=cell, pbc=pbc)
    expected = sum(neighbor_graph(part, 3.0).n_edges for part in (atoms[:2], atoms[2:]))
    assert neighbor_graph(atoms, 3.0).n_edges == expected >= 4


def test_many_atoms_in_a_flat_periodic_cell():
    """More cells than the list may have, and one across: a layer of 200 000 atoms."""
    side = 450
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), [0]), axis=-1).reshape(-1, 3)
    cell = [3.0 * side, 3.0 * side, 4.1]
    atoms = Atoms(numbers=np.ones(len(grid)), positions=3.0 * grid, cell=cell, pbc=True)
    graph = neighbor_graph(atoms, 3.1)
    assert graph.n_edges == 4 * len(atoms)
    np.testing.assert_allclose(graph.edge_vectors.norm(dim=1), 3.0, rtol=EXACT)
