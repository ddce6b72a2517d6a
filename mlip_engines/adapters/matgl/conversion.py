"""From a TensorNet of matgl to a :class:`~mlip_engines.adapters.matgl.tensornet.TensorNetwork`."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from mlip_engines.adapters.matgl.tensornet import (
    Edges,
    Embedding,
    Interaction,
    PartwiseLinear,
    TensorNetwork,
)


class GatedReadout(nn.Module):
    """A perceptron times another."""

    def __init__(self, layers: nn.Module, gates: nn.Module):
        super().__init__()
        self.layers, self.gates = layers, gates

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, 1) for (n, C)."""
        return self.layers(x) * self.gates(x)


def convert(model: Any, kept: list[int], numbers: list[int]) -> TensorNetwork:
    """Return the network of a TensorNet of matgl, for some of its elements.

    Parameters
    ----------
    model : matgl.models.TensorNet
        Its parts are copied.
    kept : list of int
        Positions of the elements in the model's embedding.
    numbers : list of int
        Their atomic numbers.

    Raises
    ------
    ValueError
        If the energy of the model is no sum over atoms, or its layers are those of another implementation.
    """
    if model.is_intensive:
        raise ValueError(
            "the model has a property per structure (is_intensive=True), no energy that is a sum over atoms; expected "
            "one that was trained with is_intensive=False"
        )
    if getattr(model, "_use_warp", False):
        raise ValueError(
            "the model was loaded with layers for NVIDIA GPUs; expected those of plain torch: uninstall "
            "nvalchemi-toolkit-ops for the export"
        )
    own = model.tensor_embedding
    width = own.emb.embedding_dim
    elements = own.emb.weight.detach()[torch.tensor(kept)].clone()
    of_centre, of_neighbor = (nn.Linear(width, width, bias=k == 0) for k in range(2))
    matrix = own.emb2.weight.detach()
    of_centre.weight = nn.Parameter(matrix[:, :width].contiguous())
    of_centre.bias = nn.Parameter(own.emb2.bias.detach().clone())
    of_neighbor.weight = nn.Parameter(matrix[:, width:].contiguous())
    projections = [own.distance_proj1, own.distance_proj2, own.distance_proj3]
    radial = nn.Linear(own.distance_proj1.in_features, 3 * width)
    radial.weight = nn.Parameter(torch.cat([p.weight.detach() for p in projections]))
    radial.bias = nn.Parameter(torch.cat([p.bias.detach() for p in projections]))
    embedding = Embedding(
        elements,
        of_centre,
        of_neighbor,
        radial,
        copy.deepcopy(own.init_norm),
        _partwise(own.linears_tensor),
        _part_by_part(own.linears_scalar, own.act),
    )
    layers = [
        Interaction(
            _part_by_part(layer.linears_scalar, layer.act),
            _partwise(layer.linears_tensor[:3]),
            _partwise(layer.linears_tensor[3:]),
            layer.equivariance_invariance_group == "O(3)",
        )
        for layer in model.layers
    ]
    gated = model.final_layer.gated
    readout = nn.Sequential(
        copy.deepcopy(model.out_norm),
        copy.deepcopy(model.linear),
        GatedReadout(copy.deepcopy(gated.layers), copy.deepcopy(gated.gates)),
    )
    edges = Edges(traced(model.bond_expansion, elements.dtype), float(model.cutoff))
    network = TensorNetwork(numbers, edges, embedding, layers, readout)
    return network.to(elements.dtype).requires_grad_(False).eval()


def traced(expansion: nn.Module, dtype: torch.dtype) -> torch.jit.ScriptModule:
    """Return radial functions as TorchScript; matgl makes some of them from formulas, which cannot be scripted."""
    expansion = copy.deepcopy(expansion).requires_grad_(False).eval()
    with warnings.catch_warnings():  # of constants in the trace, which is what they are
        warnings.simplefilter("ignore")
        example = torch.linspace(0.9, 4.1, 7, dtype=dtype)
        return torch.jit.trace(expansion, example, check_trace=False)


def _partwise(linears: Any) -> PartwiseLinear:
    return PartwiseLinear(*(copy.deepcopy(linear) for linear in linears))


def _part_by_part(linears: Any, activation: nn.Module) -> nn.Sequential:
    """Return a perceptron whose last layer has its (C, 3) results as (3, C)."""
    layers: list[nn.Module] = []
    for linear in linears:
        layers += [copy.deepcopy(linear), copy.deepcopy(activation)]
    last = layers[-2]
    with torch.no_grad():
        for parameter in (last.weight, last.bias):
            by_part = parameter.unflatten(0, (-1, 3)).transpose(0, 1).flatten(0, 1)
            parameter.copy_(by_part.clone())
    return nn.Sequential(*layers)
