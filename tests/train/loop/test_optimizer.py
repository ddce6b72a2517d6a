"""Muon moves matrices along orthogonal directions, AdamW moves the rest, and recipes choose."""

import pytest
import torch
from torch import nn

from mlip_train.loop.optimizer import SMALLEST_MATRIX, build_optimizer
from mlip_train.networks import build_network
from mlip_train.recipe import read_recipe
from tests.labelled import RECIPE, write_recipe

NETWORK = {"name": "painn", "species": [1, 8], "cutoff": 4.0, "n_features": 16, "n_basis": 8}


def optimizer_of(tmp_path, network, kind):
    return build_optimizer(
        read_recipe(write_recipe(tmp_path / "r.yaml", RECIPE + f"optimizer: {kind}\n")), network
    )


@pytest.mark.parametrize("shape", [(16, 16), (48, 16), (16, 48)])
def test_muon_moves_a_matrix_by_the_orthogonal_part_of_its_gradient(tmp_path, shape):
    generator = torch.Generator().manual_seed(1)
    matrix = nn.Parameter(torch.zeros(shape))
    optimizer = optimizer_of(tmp_path, nn.ParameterDict({"matrix": matrix}), "muon")
    gradient = torch.randn(shape, generator=generator)
    matrix.grad = gradient.clone()
    rate = 1e-3
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    # The polar factor U V^T of the gradient, by singular values; the length is 0.2 sqrt(larger side) times the rate.
    u, _, v = torch.linalg.svd(gradient, full_matrices=False)
    polar = -0.2 * max(shape) ** 0.5 * rate * (u @ v)
    moved = matrix.detach()
    cosine = (moved * polar).sum() / (moved.norm() * polar.norm())
    # Five Newton-Schulz steps bring singular values near one, not to it: within 0.7 to 1.2 by design.
    assert cosine > 0.98
    ratios = torch.linalg.svdvals(moved) / torch.linalg.svdvals(polar)
    assert 0.6 < ratios.min() and ratios.max() < 1.3
    # The gradient itself is another direction: this would not pass by following it.
    along = (gradient * polar).sum() / (gradient.norm() * polar.norm())
    assert abs(along) < 0.96


def test_each_parameter_has_one_optimiser_and_embeddings_and_readouts_have_adamw(tmp_path):
    species = list(
        range(1, SMALLEST_MATRIX + 4)
    )  # so many that the embedding has the shape of a matrix
    network = build_network({**NETWORK, "species": species})
    muon, adamw = optimizer_of(tmp_path, network, "muon").members
    assert isinstance(muon, torch.optim.Muon) and isinstance(adamw, torch.optim.AdamW)
    by_muon = {id(p) for group in muon.param_groups for p in group["params"]}
    by_adamw = {id(p) for group in adamw.param_groups for p in group["params"]}
    assert not by_muon & by_adamw
    assert by_muon | by_adamw == {id(p) for p in network.parameters()}
    assert id(network.embedding.weight) in by_adamw
    assert id(network.energy_head[2].weight) in by_adamw
    assert id(network.shared[0].message.phi[0].weight) in by_muon


def test_frozen_parameters_have_no_optimiser(tmp_path):
    network = build_network(NETWORK)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name == "energy_head.2.bias")
    optimizer = optimizer_of(tmp_path, network, "muon")
    assert [p for group in optimizer.param_groups for p in group["params"]] == [
        network.energy_head[2].bias
    ]


def test_adamw_alone_can_be_chosen(tmp_path):
    (member,) = optimizer_of(tmp_path, build_network(NETWORK), "adamw").members
    assert isinstance(member, torch.optim.AdamW)


def test_an_unknown_optimiser_is_refused_with_those_that_are_known(tmp_path):
    with pytest.raises(ValueError, match="optimizer must be one of .*muon.*adamw.* got 'sgd'"):
        optimizer_of(tmp_path, build_network(NETWORK), "sgd")
