"""PaiNN against its equations, under rotations, at the cutoff and with nothing around."""

import copy

import pytest
import torch
from scipy.spatial.transform import Rotation

from mlip_engines.conformance import check_conformance
from mlip_engines.neighbors import neighbor_graph
from structures import STRUCTURES
from tolerances import TOLERANCE
from train.models.painn import Edges, Message, PaiNN

EQUALITY = TOLERANCE["float64"].equality


@pytest.fixture
def network():
    torch.manual_seed(3)
    return PaiNN([1, 8], 4.0, n_features=12, n_basis=6, n_layers=3).double().eval()


def test_message_block_equals_the_sum_over_edges_of_the_paper(network):
    graph = neighbor_graph(STRUCTURES["triclinic"](), 4.0)
    torch.manual_seed(0)
    s, v = torch.randn(12, 12).double(), torch.randn(12, 3, 12).double()
    edges: Edges = network.edges
    block: Message = network.shared[1].message
    s_new, v_new = block(s, v, edges(graph.edge_index, graph.edge_vectors, 12))

    i, j = graph.edge_index
    distance = graph.edge_vectors.norm(dim=1)
    radial = edges.basis(distance)  # (E, K)
    unit = graph.edge_vectors / distance[:, None]
    phi_s, phi_vv, phi_vs = block.phi(s).split(12, dim=1)
    w_s, w_vv, w_vs = radial @ block.filter_s, radial @ block.filter_vv, radial @ block.filter_vs
    ds = torch.zeros_like(s).index_add(0, i, phi_s[j] * w_s)
    message = (phi_vv[j] * w_vv)[:, None, :] * v[j]
    message = message + (phi_vs[j] * w_vs)[:, None, :] * unit[:, :, None]
    dv = torch.zeros_like(v).index_add(0, i, message)
    torch.testing.assert_close(s_new, s + ds, rtol=EQUALITY, atol=EQUALITY)
    torch.testing.assert_close(v_new, v + dv, rtol=EQUALITY, atol=EQUALITY)


def test_the_first_layer_equals_any_other_where_vectors_are_zero(network):
    graph = neighbor_graph(STRUCTURES["molecules"](), 4.0)
    torch.manual_seed(0)
    s, v = torch.randn(12, 12).double(), torch.zeros(12, 3, 12).double()
    edges = network.edges(graph.edge_index, graph.edge_vectors, 12)
    first = network.shared[0].message
    other = Message(12, 6, is_first=False).double()
    other.load_state_dict(first.state_dict())
    for found, expected in zip(first(s, v, edges), other(s, v, edges), strict=True):
        torch.testing.assert_close(found, expected, rtol=EQUALITY, atol=EQUALITY)


@pytest.mark.parametrize("improper", [False, True])
def test_energy_is_invariant_and_non_conservative_forces_turn_with_the_structure(network, improper):
    graph = neighbor_graph(STRUCTURES["molecules"](), 4.0)
    turn = torch.tensor(Rotation.random(random_state=5).as_matrix()) * (-1.0 if improper else 1.0)
    output = network(*graph, True)
    turned = network(*graph._replace(edge_vectors=graph.edge_vectors @ turn.T), True)
    torch.testing.assert_close(
        turned["atomic_energies"], output["atomic_energies"], rtol=EQUALITY, atol=EQUALITY
    )
    forces = output["non_conservative_forces"]
    assert forces.abs().max() > 1e-3
    torch.testing.assert_close(
        turned["non_conservative_forces"], forces @ turn.T, rtol=EQUALITY, atol=EQUALITY
    )


@pytest.mark.parametrize("non_conservative_layer", [0, 1, 2, 3])
def test_painn_passes_the_conformance_check(non_conservative_layer):
    torch.manual_seed(1)
    network = PaiNN(
        [1, 8], 4.0, n_features=8, n_basis=5, non_conservative_layer=non_conservative_layer
    )
    check_conformance(network.double(), species=["H", "O"])


def test_the_head_alone_does_not_run_the_layers_of_the_energy(network):
    graph = neighbor_graph(STRUCTURES["triclinic"](), 4.0)
    expected = network(*graph, True)["non_conservative_forces"]
    broken = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in [*broken.energy_layers.parameters(), *broken.energy_head.parameters()]:
            parameter.fill_(float("nan"))
    torch.testing.assert_close(broken.non_conservative(*graph)["non_conservative_forces"], expected)
