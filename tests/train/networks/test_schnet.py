"""SchNet against its equations, written edge by edge."""

import math

import pytest
import torch
from torch.nn import functional

from mlip_engines.conformance import check_conformance
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.networks.schnet import SchNet
from structures import STRUCTURES
from tolerances import TOLERANCE

CUTOFF = 4.0
EQUALITY = TOLERANCE["float64"].equality


def build(**arguments):
    torch.manual_seed(3)
    settings = {"n_features": 6, "n_basis": 7, "n_layers": 2, "non_conservative_layer": 1}
    return SchNet([1, 8], CUTOFF, **{**settings, **arguments}).double().eval()


def ssp(x):
    return torch.log(0.5 * torch.exp(x) + 0.5)


def test_it_keeps_the_contract():
    check_conformance(build(non_conservative_stress=True), species=["H", "O"], rotation=True)


@pytest.mark.parametrize("name", ["triclinic", "cell_smaller_than_cutoff"])
def test_energies_equal_the_equations_of_the_paper(name):
    network = build(non_conservative_layer=0)
    graph = neighbor_graph(STRUCTURES[name](), CUTOFF)
    i, j = graph.edge_index.tolist()
    r = graph.edge_vectors.norm(dim=1)
    step = CUTOFF / 6
    # Gaussians and the cutoff function, number by number
    gaussians = torch.tensor(
        [[math.exp(-((d - k * step) ** 2) / (2 * step**2)) for k in range(7)] for d in r.tolist()],
        dtype=torch.float64,
    )
    x_c = [d / CUTOFF for d in r.tolist()]
    fade = [1 - 28 * x**6 + 48 * x**7 - 21 * x**8 for x in x_c]
    fade = torch.tensor(fade, dtype=torch.float64)
    x = network.embedding.weight[[{1: 0, 8: 1}[z] for z in graph.atomic_numbers.tolist()]]
    for block in network.shared:
        first, second = block.filter_generator.layers[0], block.filter_generator.layers[2]
        w = ssp(functional.linear(gaussians, first.weight, first.bias))
        w = ssp(functional.linear(w, second.weight, second.bias)) * fade[:, None]
        y = x @ block.atom_wise_in.weight.T
        rows = [torch.zeros(6).double() for _ in range(graph.n_atoms)]
        for e in range(graph.n_edges):
            rows[i[e]] = rows[i[e]] + y[j[e]] * w[e]
        first, second = block.atom_wise_out[0], block.atom_wise_out[2]
        v = ssp(functional.linear(torch.stack(rows), first.weight, first.bias))
        x = x + functional.linear(v, second.weight, second.bias)
    first, second = network.energy_head[0], network.energy_head[2]
    expected = functional.linear(ssp(functional.linear(x, first.weight, first.bias)), second.weight)
    found = network(graph, False)["atomic_energies"]
    torch.testing.assert_close(
        found, (expected + second.bias).flatten(), rtol=EQUALITY, atol=EQUALITY
    )
