"""Deep products of layers begin with outputs of the size of their unit, not thousands of times smaller."""

import numpy as np
import pytest
import torch
from ase.build import bulk
from torch import nn

from mlip_engines.model.derivatives import energy_gradient
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.networks import build_network


def new(name, seed):
    torch.manual_seed(seed)
    settings = {"n_features": 32, "n_layers": 2, "non_conservative_layer": 1}
    return build_network({"name": name, "species": [18], "cutoff": 5.0, **settings}).double()


@pytest.mark.parametrize("name", ["torchmdnet", "m3gnet"])
def test_matrices_have_the_variance_of_equation_16(name):
    ratios = []
    for layer in new(name, 0).modules():
        if isinstance(layer, nn.Linear) and layer.weight.numel() >= 500:
            expected = 2.0 / sum(layer.weight.shape)
            ratios.append(float(layer.weight.detach().var()) / expected)
            assert layer.bias is None or not layer.bias.any()
    assert len(ratios) > 5 and np.mean(ratios) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("name", "least"), [("torchmdnet", 2e-3), ("m3gnet", 5e-4)])
def test_forces_of_a_new_network_are_not_negligible(name, least):
    """Torch's own matrices gave 2e-4 for both."""
    atoms = bulk("Ar", "fcc", 5.4, cubic=True)
    atoms.rattle(0.2, seed=0)
    graph = neighbor_graph(atoms, 5.0)
    sizes = []
    for seed in range(3):
        vectors = graph.edge_vectors.clone().requires_grad_()
        output = new(name, seed)(graph._replace(edge_vectors=vectors), False)
        gradient = energy_gradient(output["atomic_energies"].sum(), vectors)
        sizes.append(float(gradient.std()))
    assert np.median(sizes) > least, sizes
