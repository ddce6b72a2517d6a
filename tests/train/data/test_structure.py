"""Neighbour lists of structures that have drifted over many cells."""

import pytest
import torch
from ase.build import bulk
from ase.neighborlist import neighbor_list

from mlip_train.data.batching import collate
from mlip_train.data.structure import prepare

CUTOFF = 4.0


@pytest.mark.parametrize("n_cells", [1, 127, 128, 300, 70000])
def test_atoms_unwrapped_over_many_cells_keep_their_edges(n_cells):
    atoms = bulk("Cu", cubic=True)
    expected = neighbor_list("d", atoms, CUTOFF)
    atoms.positions[0] += n_cells * atoms.cell[0]
    atoms.positions[1] -= n_cells * atoms.cell[2]
    batch = collate([prepare(atoms, CUTOFF)], torch.zeros(119), CUTOFF, torch.float64)
    lengths = batch.graph.edge_vectors.norm(dim=1)
    assert sorted(lengths.tolist()) == pytest.approx(sorted(expected), abs=1e-6)
