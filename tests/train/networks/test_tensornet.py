"""TensorNet against its equations with matrices of three by three, under rotations, and as the contract wants it."""

import pytest
import torch
from scipy.spatial.transform import Rotation

from mlip_engines.conformance import check_conformance
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.networks.tensornet import TensorNet, basis_of_matrices
from structures import STRUCTURES
from tolerances import TOLERANCE

EQUALITY = TOLERANCE["float64"].equality
BASIS = basis_of_matrices().double().view(9, 3, 3)
N, C = 12, 6  # atoms of the triclinic cell, channels


@pytest.fixture
def network():
    torch.manual_seed(3)
    settings = {"n_features": C, "n_basis": 5, "n_force_layers": 1, "non_conservative_stress": True}
    return TensorNet([1, 8], 4.0, **settings).double().eval()


@pytest.fixture
def graph():
    return neighbor_graph(STRUCTURES["triclinic"](), 4.0)


def parts(x):
    """I, A and S of matrices (n, C, 3, 3), as the paper decomposes them."""
    trace = x.diagonal(dim1=2, dim2=3).sum(dim=2) / 3.0
    scalar = trace[..., None, None] * torch.eye(3).double()
    skew = 0.5 * (x - x.transpose(2, 3))
    return scalar, skew, x - scalar - skew


def mixed(layer, x):
    """W_I I + W_A A + W_S S over the channels."""
    weights = layer.scalar.weight, layer.skew.weight, layer.symmetric.weight
    return sum(torch.einsum("dc,ncij->ndij", w, p) for w, p in zip(weights, parts(x), strict=True))


def norm(x):
    """||X|| = Tr(X^T X), as (n, C, 1, 1)."""
    return (x * x).sum(dim=(2, 3), keepdim=True)


def as_matrices(numbers):
    return torch.einsum("nkc,kij->ncij", numbers, BASIS)


def as_numbers(matrices):
    flat = torch.einsum("ncij,kij->nkc", matrices, BASIS)
    return flat / (BASIS * BASIS).sum(dim=(1, 2))[:, None]


def test_the_embedding_equals_the_sum_over_edges_of_the_paper(network, graph):
    edges = network.edges(graph.edge_index, graph.edge_vectors, N)
    species, block = network.species_index[graph.atomic_numbers], network.embedding
    i, j = graph.edge_index
    u = graph.edge_vectors / graph.edge_vectors.norm(dim=1, keepdim=True)
    one = torch.eye(3).double()
    # skew w = u x w, so its columns are u x e_k
    skew = torch.linalg.cross(u[:, None].expand(-1, 3, -1), one.expand(len(u), 3, 3)).transpose(
        1, 2
    )
    symmetric = u[:, :, None] * u[:, None, :] - one / 3.0
    z = block.elements(species)
    z_ij = block.of_centre(z)[i] + block.of_neighbor(z)[j]  # W (Z_i + Z_j) + b of both, (E, C)
    f = block.filters(edges.radial).view(-1, 3, C)
    x_ij = sum(
        (z_ij * f[:, k])[:, :, None, None] * m[:, None]
        for k, m in enumerate((one.expand(len(u), 3, 3), skew, symmetric))
    )
    x = torch.zeros(N, C, 3, 3).double().index_add(0, i, x_ij)
    factors = block.factors(block.norm(norm(x).flatten(1))).view(N, 3, C)
    expected = sum(
        factors[:, k, :, None, None] * p for k, p in enumerate(parts(mixed(block.mix, x)))
    )
    torch.testing.assert_close(
        as_matrices(block(species, edges)), expected, rtol=EQUALITY, atol=EQUALITY
    )


def test_an_interaction_equals_the_equations_of_the_paper(network, graph):
    edges = network.edges(graph.edge_index, graph.edge_vectors, N)
    block = network.shared[0]
    torch.manual_seed(0)
    x = torch.randn(N, C, 3, 3).double()
    i, j = graph.edge_index
    f = block.filters(edges.radial).view(-1, 3, C)
    scaled = x / (norm(x) + 1.0)
    y = mixed(block.before, scaled)
    message = sum(f[:, k, :, None, None] * p[j] for k, p in enumerate(parts(y)))
    m = torch.zeros_like(x).index_add(0, i, message)
    both = y @ m + m @ y
    change = mixed(block.after, both / (norm(both) + 1.0))
    expected = scaled + change + change @ change
    found = as_matrices(block(as_numbers(x), edges))
    torch.testing.assert_close(found, expected, rtol=EQUALITY, atol=EQUALITY)


@pytest.mark.parametrize("improper", [False, True])
def test_energy_is_invariant_and_forces_and_virials_turn_with_the_structure(
    network, graph, improper
):
    turn = torch.tensor(Rotation.random(random_state=5).as_matrix()) * (-1.0 if improper else 1.0)
    before = network(graph, True)
    after = network(graph._replace(edge_vectors=graph.edge_vectors @ turn.T), True)
    forces, virials = before["non_conservative_forces"], before["non_conservative_virials"]
    assert min(forces.abs().max(), virials.abs().max()) > 1e-4
    expected = {
        "atomic_energies": before["atomic_energies"],
        "non_conservative_forces": forces @ turn.T,
        "non_conservative_virials": turn @ virials @ turn.T,
    }
    for key, value in expected.items():
        torch.testing.assert_close(after[key], value, rtol=EQUALITY, atol=EQUALITY)


@pytest.mark.parametrize("layers", [(1, 0, 0), (2, 1, 1)])
def test_tensornet_passes_the_conformance_check(layers):
    torch.manual_seed(1)
    n_layers, shared, further = layers
    network = TensorNet(
        [1, 8], 4.0, n_features=8, n_basis=6, n_layers=n_layers, non_conservative_layer=shared,
        n_force_layers=further, non_conservative_stress=shared > 0,
    )  # fmt: skip
    passed = check_conformance(network.double().eval(), ["H", "O"], rotation=True)
    assert "an atom of a crystal has one force constant" in passed


def test_training_and_evaluation_sum_alike(network, graph):
    trained = network(graph, True)
    evaluated = network.requires_grad_(False)(graph, True)
    for key, value in evaluated.items():
        torch.testing.assert_close(trained[key], value, rtol=EQUALITY, atol=EQUALITY)


def test_the_layer_norm_of_an_atom_alone_is_finite(network):
    lonely = neighbor_graph(STRUCTURES["molecules"](), 4.0)
    none = lonely._replace(
        edge_index=lonely.edge_index[:, :0],
        edge_vectors=lonely.edge_vectors[:0],
        reverse_edge=lonely.reverse_edge[:0],
    )
    output = network(none, True)
    assert torch.isfinite(output["atomic_energies"]).all()
    assert output["non_conservative_forces"].abs().max() == 0.0


def test_impossible_layers_are_refused():
    with pytest.raises(ValueError, match="n_force_layers"):
        TensorNet([1], n_force_layers=-1)
    with pytest.raises(ValueError, match="norm_width"):
        TensorNet([1], norm_width=0.0)
