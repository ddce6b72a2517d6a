"""Direct forces of invariant networks: along the edges, opposite on both atoms, and the sum that they claim to be."""

import pytest
import torch

from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.networks.pair_forces import PairForceHead
from structures import STRUCTURES
from tolerances import TOLERANCE

EQUALITY = TOLERANCE["float64"].equality


@pytest.mark.parametrize("name", ["molecules", "triclinic", "cell_smaller_than_cutoff"])
def test_forces_are_the_sum_over_edges_and_add_up_to_zero(name):
    torch.manual_seed(0)
    head = PairForceHead(6, 4, 4.0).double()
    graph = neighbor_graph(STRUCTURES[name](), 4.0)
    s = torch.randn(graph.n_atoms, 6).double()
    found = head(s, graph.edge_index, graph.edge_vectors, graph.n_atoms)
    a, b = head.scalars(s).split(6, dim=1)
    r = graph.edge_vectors.norm(dim=1)
    radial = head.basis(r) @ head.radial  # (E, F)
    expected = torch.zeros_like(found)
    for e, (i, j) in enumerate(graph.edge_index.T.tolist()):
        w = ((a[i] * b[j] + b[i] * a[j]) * radial[e]).sum()
        expected[i] += w * graph.edge_vectors[e] / r[e]
    largest = found.abs().max()
    assert largest > 1e-2
    torch.testing.assert_close(found, expected, rtol=EQUALITY, atol=EQUALITY)
    assert found.sum(dim=0).abs().max() < EQUALITY * largest * graph.n_edges
