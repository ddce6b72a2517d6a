"""PaiNN against its equations, under rotations, at the cutoff and with nothing around."""

import copy

import pytest
import torch
from ase import Atoms
from scipy.spatial.transform import Rotation

from mlip_engines.conformance import check_conformance
from mlip_engines.model.derivatives import forces_from_edges
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.networks.painn import Edges, Message, PaiNN
from structures import STRUCTURES
from tolerances import TOLERANCE

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
    messages = block(s, v, edges(graph.edge_index, graph.edge_vectors, 12))

    i, j = graph.edge_index
    distance = graph.edge_vectors.norm(dim=1)
    wave = torch.sin(torch.arange(1, 7).double() * (torch.pi / 4.0) * distance[:, None])  # (E, K)
    x = distance[:, None] / 4.0
    radial = 0.5**0.5 * wave / distance[:, None] * (1.0 - 28 * x**6 + 48 * x**7 - 21 * x**8)
    unit = graph.edge_vectors / distance[:, None]
    phi_s, phi_vv, phi_vs = block.phi(s).split(12, dim=1)
    w_s, w_vv, w_vs = radial @ block.filter_s, radial @ block.filter_vv, radial @ block.filter_vs
    ds = torch.zeros_like(s).index_add(0, i, phi_s[j] * w_s)
    message = (phi_vv[j] * w_vv)[:, None, :] * v[j]
    message = message + (phi_vs[j] * w_vs)[:, None, :] * unit[:, :, None]
    dv = torch.zeros_like(v).index_add(0, i, message)
    torch.testing.assert_close(messages[:, 0], ds, rtol=EQUALITY, atol=EQUALITY)
    torch.testing.assert_close(messages[:, 1:], dv, rtol=EQUALITY, atol=EQUALITY)


def test_the_first_layer_equals_any_other_where_vectors_are_zero(network):
    graph = neighbor_graph(STRUCTURES["molecules"](), 4.0)
    torch.manual_seed(0)
    s, v = torch.randn(12, 12).double(), torch.zeros(12, 3, 12).double()
    edges = network.edges(graph.edge_index, graph.edge_vectors, 12)
    first = network.shared[0].message
    other = Message(12, 6, is_first=False).double()
    other.load_state_dict(first.state_dict())
    torch.testing.assert_close(first(s, v, edges), other(s, v, edges), rtol=EQUALITY, atol=EQUALITY)


@pytest.mark.parametrize("improper", [False, True])
def test_energy_is_invariant_and_non_conservative_forces_turn_with_the_structure(network, improper):
    graph = neighbor_graph(STRUCTURES["molecules"](), 4.0)
    turn = torch.tensor(Rotation.random(random_state=5).as_matrix()) * (-1.0 if improper else 1.0)
    output = network(graph, True)
    turned = network(graph._replace(edge_vectors=graph.edge_vectors @ turn.T), True)
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
    expected = network(graph, True)["non_conservative_forces"]
    broken = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in [*broken.energy_layers.parameters(), *broken.energy_head.parameters()]:
            parameter.fill_(float("nan"))
    torch.testing.assert_close(broken.non_conservative(graph)["non_conservative_forces"], expected)


def test_more_atoms_than_a_grid_of_blocks_has_rows(network):
    """CUDA runs at most 65,535 blocks in two of three directions; a molecule beyond that is as one alone."""
    graph = neighbor_graph(STRUCTURES["molecule"](), 4.0)
    lonely = 65_536
    many = graph._replace(
        atomic_numbers=torch.cat([torch.full((lonely,), 8), graph.atomic_numbers]),
        edge_index=graph.edge_index + lonely,
        owned=torch.ones(lonely + 3, dtype=torch.bool),
    )
    expected, found = network(graph, True), network(many, True)
    for key, value in expected.items():
        torch.testing.assert_close(found[key][lonely:], value, rtol=EQUALITY, atol=EQUALITY)
    assert found["non_conservative_forces"][:lonely].abs().max() == 0.0
    alone = network(neighbor_graph(STRUCTURES["single_atom"](), 4.0), False)["atomic_energies"]
    energies = found["atomic_energies"][:lonely]
    torch.testing.assert_close(energies, alone.expand(lonely), rtol=EQUALITY, atol=EQUALITY)


def test_an_atom_passes_through_the_cutoff_without_a_trace(network):
    """Energy, conservative and non-conservative forces of all atoms go smoothly to what they are without it."""

    def at(distance):
        return Atoms("OHHO", [[0, 0, 0], [0.9, 0.3, -0.5], [-0.4, 0.8, -0.7], [0, 0, distance]])

    def answer(distance):
        graph = neighbor_graph(at(distance), 4.0)
        vectors = graph.edge_vectors.requires_grad_(True)
        output = network(graph._replace(edge_vectors=vectors), True)
        (gradient,) = torch.autograd.grad(output["atomic_energies"].sum(), vectors)
        forces = forces_from_edges(graph.edge_index, gradient, 4)
        return (
            output["atomic_energies"].detach(),
            forces,
            output["non_conservative_forces"].detach(),
        )

    away = answer(30.0)
    felt = []
    for gap in (0.4, 0.1, 0.02, 0.004, 0.0008):
        pairs = zip(answer(4.0 - gap), away, strict=True)
        felt.append([float((a - b).abs().max()) for a, b in pairs])
    for column in zip(*felt, strict=True):
        assert column[0] > 1e-5 and column == tuple(sorted(column, reverse=True))
        assert column[-1] < 1e-4 * column[0]  # the envelope falls at least as the square of the gap


def test_atoms_without_neighbours_have_the_energies_of_atoms_and_no_force(network):
    output = network(neighbor_graph(STRUCTURES["no_neighbours"](), 4.0), True)
    singles = [
        network(neighbor_graph(Atoms(s, [[0, 0, 0]]), 4.0), False)["atomic_energies"] for s in "OHH"
    ]
    torch.testing.assert_close(output["atomic_energies"], torch.cat(singles), rtol=EQUALITY, atol=0)
    assert output["non_conservative_forces"].abs().max() == 0.0
