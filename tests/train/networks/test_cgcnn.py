"""CGCNN against its equations, written edge by edge."""

import torch

from mlip_engines.conformance import check_conformance
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.networks.cgcnn import CGCNN, Convolution
from structures import STRUCTURES
from tolerances import TOLERANCE

CUTOFF = 4.0
EQUALITY = TOLERANCE["float64"].equality


def test_it_keeps_the_contract():
    torch.manual_seed(1)
    network = CGCNN([1, 8], CUTOFF, n_features=8, n_basis=9, non_conservative_stress=True)
    check_conformance(network.double().eval(), species=["H", "O"], rotation=True)


def test_a_convolution_equals_equation_5_with_matrices_on_joined_features():
    torch.manual_seed(0)
    layer = Convolution(5, 3).double()
    graph = neighbor_graph(STRUCTURES["cell_smaller_than_cutoff"](), CUTOFF)
    v = torch.randn(graph.n_atoms, 5).double()
    u, fade = torch.randn(graph.n_edges, 3).double(), torch.rand(graph.n_edges).double()
    found = layer(v, u, fade, graph.edge_index, graph.n_atoms)

    joined = [layer.of_centre.weight, layer.of_neighbor.weight, layer.of_bond.weight]
    w_f, w_s = torch.cat(joined, dim=1).split(5, dim=0)  # (F, 2 F + K) each
    b_f, b_s = layer.of_centre.bias.split(5)
    rows = list(v)
    for e, (i, j) in enumerate(graph.edge_index.T.tolist()):
        z = torch.cat((v[i], v[j], u[e]))
        gate = 1.0 / (1.0 + torch.exp(-(w_f @ z + b_f)))
        rows[i] = rows[i] + fade[e] / 12.0 * gate * torch.log1p(torch.exp(w_s @ z + b_s))
    torch.testing.assert_close(found, torch.stack(rows), rtol=EQUALITY, atol=EQUALITY)
