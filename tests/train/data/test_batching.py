"""A batch is the graph of its structures, also of displaced ones."""

import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator

from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.data.batching import collate
from mlip_train.data.structure import prepare
from structures import STRUCTURES
from tolerances import EXACT


@pytest.mark.parametrize("name", ["triclinic", "slab", "molecules", "cell_smaller_than_cutoff"])
def test_displaced_edges_are_those_of_the_displaced_structure(name):
    atoms = STRUCTURES[name]()
    calculated = {"energy": 0.0, "forces": np.zeros((len(atoms), 3))}
    atoms.calc = SinglePointCalculator(atoms, **calculated)
    move = 0.1 * torch.tensor(np.random.default_rng(0).uniform(-1, 1, atoms.positions.shape))
    batch = collate([prepare(atoms, 3.0)], torch.zeros(119), 3.0, torch.float64, [move])
    atoms.positions += move.numpy()
    graph = neighbor_graph(atoms, 3.0)
    expected = sorted(map(tuple, torch.cat((graph.edge_index.T, graph.edge_vectors), 1).tolist()))
    copy = batch.graph.edge_index[0] >= len(atoms)  # after the structure itself
    index = batch.graph.edge_index.T[copy] - len(atoms)
    found = sorted(map(tuple, torch.cat((index, batch.graph.edge_vectors[copy]), 1).tolist()))
    np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT)
    opposite = batch.graph.edge_vectors[batch.graph.reverse_edge]
    torch.testing.assert_close(opposite, -batch.graph.edge_vectors, rtol=0, atol=EXACT)
