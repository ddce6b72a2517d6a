"""Reverse edges against a dictionary, batches against their parts."""

import numpy as np
import pytest
import torch
from ase.neighborlist import neighbor_list

from mlip_engines.model.graph import Graph, batch_graphs, reverse_edges
from mlip_engines.model.neighbors import neighbor_graph
from structures import STRUCTURES


def reverse_by_dictionary(i, j, shifts):
    index = {(a, b, *s): e for e, (a, b, s) in enumerate(zip(i, j, shifts.tolist(), strict=True))}
    return [index[(b, a, *(-s).tolist())] for a, b, s in zip(i, j, shifts, strict=True)]


@pytest.mark.parametrize("name", STRUCTURES)
def test_reverse_edges_equal_a_dictionary_search(name):
    i, j, shifts = neighbor_list("ijS", STRUCTURES[name](), 6.0)
    order = np.random.default_rng(1).permutation(len(i))  # any order of edges will do
    i, j, shifts = i[order], j[order], shifts[order]
    found = reverse_edges(torch.from_numpy(np.stack([i, j])), torch.from_numpy(shifts))
    assert found.tolist() == reverse_by_dictionary(i, j, shifts)


def test_reverse_edges_with_atoms_and_shifts_too_large_to_multiply():
    edge_index = torch.tensor([[0, 2**40, 0, 2**40], [2**40, 0, 2**40, 0]])
    far = 2**30
    shifts = torch.tensor([[far, -1, far], [-far, 1, -far], [far, 1, far], [-far, -1, -far]])
    assert reverse_edges(edge_index, shifts).tolist() == [1, 0, 3, 2]


@pytest.mark.parametrize(
    ("edges", "shifts"),
    [
        ([[0], [1]], [[0, 0, 0]]),  # the opposite is missing
        ([[0, 1], [1, 0]], [[1, 0, 0], [1, 0, 0]]),  # the opposite has the wrong shift
        ([[0, 0, 1, 1], [1, 1, 0, 0]], [[0, 0, 0]] * 4),  # twice the same pair
    ],
)
def test_reverse_edges_refuse_half_lists_and_duplicates(edges, shifts):
    with pytest.raises(ValueError, match="full neighbour list"):
        reverse_edges(torch.tensor(edges), torch.tensor(shifts))


def test_batch_holds_every_graph_unchanged():
    graphs = [neighbor_graph(build(), 4.0) for build in STRUCTURES.values()]
    batch, structure = batch_graphs(graphs)
    centre_structure = structure[batch.edge_index[0]]
    assert batch.n_atoms == sum(g.n_atoms for g in graphs)
    assert bool((batch.edge_index[0].diff() >= 0).all())
    first_atom, first_edge = 0, 0
    for k, graph in enumerate(graphs):
        atoms, edges = structure == k, centre_structure == k
        assert torch.equal(batch.atomic_numbers[atoms], graph.atomic_numbers)
        assert torch.equal(batch.edge_index[:, edges] - first_atom, graph.edge_index)
        assert torch.equal(batch.edge_vectors[edges], graph.edge_vectors)
        assert torch.equal(batch.reverse_edge[edges] - first_edge, graph.reverse_edge)
        first_atom += graph.n_atoms
        first_edge += graph.n_edges


def test_batch_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one graph"):
        batch_graphs([])


def test_graph_cannot_be_changed():
    graph = neighbor_graph(STRUCTURES["dimer"](), 4.0)
    with pytest.raises(AttributeError):
        graph.owned = torch.zeros(2, dtype=torch.bool)
    assert Graph._fields[0] == "atomic_numbers"  # the order is that of the model's arguments
