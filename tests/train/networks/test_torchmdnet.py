"""TorchMD-Net's equivariant transformer against its equations, under rotations and at the cutoff."""

import math

import pytest
import torch
from ase import Atoms

from mlip_engines.conformance import check_conformance
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.networks import build_network
from mlip_train.networks.torchmdnet import ExponentialBasis, TorchMDNet
from structures import STRUCTURES
from tolerances import TOLERANCE

CUTOFF = 4.0
EQUALITY = TOLERANCE["float64"].equality


def build(**arguments):
    torch.manual_seed(3)
    settings = {"n_features": 8, "n_basis": 5, "n_heads": 2, "n_layers": 2}
    return TorchMDNet([1, 8], CUTOFF, **{**settings, **arguments}).double().eval()


def test_it_keeps_the_contract():
    network = build(non_conservative_layer=1, non_conservative_stress=True)
    check_conformance(network, species=["H", "O"], rotation=True)


def test_radial_functions_equal_their_formula():
    basis = ExponentialBasis(5, CUTOFF).double()
    r, end = [0.7, 2.3, 3.9], math.exp(-5.0)
    beta = (2 / 5 * (1 - end)) ** -2
    for distance, row in zip(r, basis(torch.tensor(r, dtype=torch.float64)), strict=True):
        x = distance / CUTOFF
        phi = 1 - 28 * x**6 + 48 * x**7 - 21 * x**8
        for k, found in enumerate(row.tolist()):
            mu = end + k * (1 - end) / 4
            expected = phi * math.exp(-beta * (math.exp(-5 * distance / CUTOFF) - mu) ** 2)
            assert found == pytest.approx(expected, rel=1e-6, abs=1e-7)  # mu was made in float32


@pytest.mark.parametrize("layer", [0, 1])
def test_an_update_layer_equals_the_equations_of_the_paper(layer):
    network = build(non_conservative_layer=0)
    graph = neighbor_graph(STRUCTURES["cell_smaller_than_cutoff"](), CUTOFF)
    _, _, edges = network._features(graph)
    n, block = graph.n_atoms, network.shared[layer]
    torch.manual_seed(0)
    x, v = torch.randn(n, 8).double(), torch.randn(n, 3, 8).double()
    if layer == 0:  # the first layer knows that vectors are zero
        v = torch.zeros_like(v)
    x_new, v_new = block(x, v, edges)

    attention, silu = block.attention, torch.nn.functional.silu
    z = (x - x.mean(1, keepdim=True)) / (x.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    q, k, value = attention.query(z), attention.key(z), attention.value(z)
    d_k = silu(attention.distance_key(edges.radial))
    d_v = silu(attention.distance_value(edges.radial))
    y, u = torch.zeros(n, 8).double(), torch.zeros(n, 3, 8).double()
    for e, (i, j) in enumerate(graph.edge_index.T.tolist()):
        vector = graph.edge_vectors[e]
        t = vector.norm() / CUTOFF
        phi = 1 - 28 * t**6 + 48 * t**7 - 21 * t**8
        s = value[j] * d_v[e]
        for head in (slice(0, 4), slice(4, 8)):
            weight = silu((q[i, head] * k[j, head] * d_k[e, head]).sum()) * phi
            y[i, head] += weight * s[head]
        u[i] += phi * s[None, 8:16] * (vector / vector.norm())[:, None]
        if layer > 0:
            u[i] += phi * s[None, 16:] * v[j]
    q1, q2, q3 = (y @ block.out.weight.T + block.out.bias).split(8, dim=1)
    u1, u2, u3 = (v @ block.u.weight.T).split(8, dim=2)
    expected = x + q1 + q2 * (u1 * u2).sum(dim=1)
    torch.testing.assert_close(x_new, expected, rtol=EQUALITY, atol=EQUALITY)
    expected = v + q3[:, None] * u3 + u
    torch.testing.assert_close(v_new, expected, rtol=EQUALITY, atol=EQUALITY)


def test_atoms_without_neighbours_feel_no_direct_force():
    network = build(non_conservative_layer=1, non_conservative_stress=True)
    output = network(neighbor_graph(Atoms("OH", [[0, 0, 0], [0, 0, 9]]), CUTOFF), True)
    assert output["non_conservative_forces"].abs().max() == 0.0
    assert output["non_conservative_virials"].abs().max() == 0.0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_features": 10, "n_heads": 4}, "multiple of n_heads"),
        ({"n_basis": 1}, "n_basis=1"),
        ({"norm_width": 0.0}, "norm_width"),
        ({"n_layers": 2, "non_conservative_layer": 3}, "non_conservative_layer=3"),
        ({"non_conservative_layer": 0, "non_conservative_stress": True}, "needs a"),
    ],
)
def test_settings_that_do_not_fit_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        build_network({"name": "torchmdnet", "species": [1], **wrong})
