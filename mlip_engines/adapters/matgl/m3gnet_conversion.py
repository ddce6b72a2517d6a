"""From an M3GNet of matgl to a :class:`~mlip_engines.adapters.matgl.m3gnet.PairwiseNetwork`."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
from torch import nn

from mlip_engines.adapters.chgnet.network import Gate
from mlip_engines.adapters.matgl.conversion import GatedReadout, traced
from mlip_engines.adapters.matgl.m3gnet import Block, EdgeMessage, PairwiseNetwork


def convert(model: Any, kept: list[int], numbers: list[int]) -> PairwiseNetwork:
    """Return the network of an M3GNet of matgl, for some of its elements; as for TensorNet.

    Raises
    ------
    ValueError
        If the energy of the model is no sum over atoms, or depends on the structure as a whole.
    """
    if model.is_intensive:
        raise ValueError(
            "the model has a property per structure (is_intensive=True), no energy that is a sum over atoms; expected "
            "one that was trained with is_intensive=False"
        )
    if model.include_state:
        raise ValueError(
            "the model has a state of the structure as a whole (include_state=True), which is a mean over atoms; "
            "expected one without"
        )
    if model.basis_expansion.use_phi:
        raise ValueError(
            "the model has a second angle (use_phi=True), for which matgl makes complex numbers that it cannot use "
            "itself; expected one without"
        )
    elements = model.embedding.layer_node_embedding.weight.detach()[torch.tensor(kept)].clone()
    layers = [
        Block(
            _plain(three_body.update_network_atom),
            _gated(three_body.update_network_bond),
            _message(block.conv.edge_update_func, block.conv.edge_weight_func, elements.size(1)),
            _message(block.conv.node_update_func, block.conv.node_weight_func, elements.size(1)),
        )
        for three_body, block in zip(model.three_body_interactions, model.graph_layers, strict=True)
    ]
    network = PairwiseNetwork(
        numbers,
        elements,
        float(model.cutoff),
        float(model.threebody_cutoff),
        traced(model.bond_expansion, elements.dtype),
        _traced_angles(model.basis_expansion, elements.dtype),
        _plain(model.embedding.layer_edge_embedding),
        layers,
        _gated(model.final_layer.gated),
    )
    return network.to(elements.dtype).requires_grad_(False).eval()


def _traced_angles(expansion: nn.Module, dtype: torch.dtype) -> torch.jit.ScriptModule:
    expansion = copy.deepcopy(expansion).requires_grad_(False).eval()
    numbers = torch.linspace(0.9, 3.1, 7, dtype=dtype)
    example = (numbers, torch.cos(numbers), torch.zeros_like(numbers))
    with warnings.catch_warnings():  # of constants in the trace, which is what they are
        warnings.simplefilter("ignore")
        return torch.jit.trace(expansion, example, check_trace=False)


def _plain(perceptron: Any) -> nn.Sequential:
    return nn.Sequential(*(copy.deepcopy(layer) for layer in perceptron.layers))


def _gated(perceptron: Any) -> GatedReadout:
    return GatedReadout(copy.deepcopy(perceptron.layers), copy.deepcopy(perceptron.gates))


def _message(perceptron: Any, radial: nn.Linear, width: int) -> EdgeMessage:
    """Divide the first matrices by what they are applied to: centre, neighbour, edge."""
    core, gate = list(perceptron.layers), list(perceptron.gates)
    matrix = torch.cat((core[0].weight.detach(), gate[0].weight.detach()))
    constant = torch.cat((core[0].bias.detach(), gate[0].bias.detach()))
    parts = []
    for k, columns in enumerate(matrix.split([width, width, matrix.size(1) - 2 * width], dim=1)):
        part = nn.Linear(columns.size(1), columns.size(0), bias=k == 0)
        part.weight = nn.Parameter(columns.contiguous())
        if k == 0:
            part.bias = nn.Parameter(constant)
        parts.append(part)
    rest = (nn.Sequential(*copy.deepcopy(layers[1:])) for layers in (core, gate))
    return EdgeMessage(*parts, Gate(*rest), copy.deepcopy(radial))
