"""From a model of NequIP to a :class:`~mlip_engines.adapters.nequip.convolutional.ElementConvolutions`."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from mlip_engines.adapters.nequip.convolutional import (
    ElementConvolutions,
    ElementLayer,
    LinearOfElements,
    NoPairs,
    RadialFunctions,
)
from mlip_engines.adapters.sevennet.conversion import (
    Block,
    convolution_of,
    gate_of,
    linear_of,
    matrix_of,
)

_ALWAYS = ["type_embed", "spharm", "edge_norm", "bessel_encode", "factor"]
_AFTER = ["per_atom_energy_readout", "per_type_energy_scale_shift"]
_OPTIONAL = ["pair_potential", "total_energy_sum"]


def why_not(energy_model: nn.Module) -> str:
    """Return what of a model of NequIP has no counterpart here; nothing if it can be converted."""
    parts = dict(energy_model.named_children())
    layers = [name for name in parts if name.endswith("_convnet")]
    strange = sorted(set(parts) - {*_ALWAYS, *layers, *_AFTER, *_OPTIONAL})
    lacking = [name for name in [*_ALWAYS, *_AFTER] if name not in parts]
    if strange or lacking:
        return ", ".join([*strange, *(f"no {name}" for name in lacking)])
    pairs = type(parts["pair_potential"]).__name__ if "pair_potential" in parts else "ZBL"
    if pairs != "ZBL":  # others expect other shapes in the dictionary
        return f"pair potentials {pairs}"
    for name in layers:
        layer = parts[name]
        if layer.resnet:
            return "layers that add their input to what they give (convnet_resnet)"
        if type(layer.equivariant_nonlin).__name__ != "Gate":
            return "nonlinearities of norms (convnet_nonlinearity_type: norm)"
        if type(layer.conv.tp_scatter).__name__ != "TensorProductScatter":
            return f"tensor products by {type(layer.conv.tp_scatter).__name__}"
    return ""


def convert(
    energy_model: nn.Module,
    cutoff: float,
    numbers: list[int],
    kept: list[int],
    scripted: Callable[[nn.Module], nn.Module],
) -> ElementConvolutions:
    """Return the network of a model of NequIP, for some of its elements.

    Parameters
    ----------
    energy_model : nn.Module
        What gives atomic energies, in the precision of the result; shifts are left aside.
    cutoff : float, Å
    numbers : list of int
        Atomic number of each type.
    kept : list of int
        The types to keep.
    scripted : callable
        Compiles a module of the package.
    """
    parts = dict(energy_model.named_children())
    table = parts["type_embed"].embed_module.weight.detach()[kept]
    layers = []
    incoming = [Block(0, np.arange(table.size(1)))]
    for name in [name for name in parts if name.endswith("_convnet")]:
        layer, incoming = _layer(parts[name], incoming, table)
        layers.append(layer)
    encode, normalizer = parts["bessel_encode"], parts["edge_norm"]
    inverse = normalizer._rmax_recip.detach().double()
    n_types = len(numbers)
    reach = inverse.reciprocal().expand(n_types * n_types).reshape(n_types, n_types)
    scale_shift = parts["per_type_energy_scale_shift"]
    scale = scale_shift.scales.detach().flatten() if scale_shift.has_scales else torch.ones(1)
    return ElementConvolutions(
        cutoff=cutoff,
        numbers=[numbers[k] for k in kept],
        embedding=table.clone(),
        spherical_harmonics=scripted(parts["spharm"].sh),
        radial_functions=RadialFunctions(
            encode.bessel_weights.detach().flatten().double(),
            reach[kept][:, kept].contiguous(),
            encode.cutoff.p,
            float(parts["factor"].factor),
        ),
        layers=layers,
        readout=scripted(parts["per_atom_energy_readout"].mlp_module),
        scale=scale.expand(n_types)[kept].to(table.dtype),
        pairs=scripted(parts.get("pair_potential", NoPairs())),
        pair_types=kept,
        has_pairs="pair_potential" in parts,
    ).requires_grad_(False)


def _layer(
    parts: nn.Module, incoming: list[Block], table: Tensor
) -> tuple[ElementLayer, list[Block]]:
    """Return a layer and the blocks of what it gives."""
    conv = parts.conv
    gate, outgoing, gated = gate_of(parts.equivariant_nonlin)
    convolution, inside, messages = convolution_of(
        conv.tp_scatter.tp, table.dtype, partial(_weights, conv.edge_mlp)
    )
    norm = conv.avg_num_neighbors_norm.norm_const.detach().flatten().to(table.dtype)
    common = float(norm[0]) if norm.numel() == 1 else 1.0
    layer = ElementLayer(
        linear_of(*matrix_of(conv.linear_1), incoming, inside, common),
        norm if norm.numel() > 1 else norm[:0],
        convolution,
        linear_of(*matrix_of(conv.linear_2), messages, gated),
        _around(conv.sc, table, incoming, gated),
        gate,
        has_around=conv.sc is not None,
    )
    return layer, outgoing


def _around(
    product: nn.Module | None, table: Tensor, incoming: list[Block], gated: list[Block]
) -> LinearOfElements:
    """Return the product of features and embedding, which is a linear map for each element."""
    components = [block.components for block in gated]
    if product is None:
        empty = table.new_zeros((1, 0, 0))
        return LinearOfElements([[] for _ in gated], [empty for _ in gated], components)
    size = product.irreps_in1.dim
    unit = torch.eye(size, dtype=table.dtype)
    with torch.no_grad():
        rows = torch.stack([product(unit, own.expand(size, -1)) for own in table])  # (Z, D, D')
    none = rows.new_zeros(rows.size(2))
    # Blocks are connected if they are for any element.
    together = linear_of(rows.abs().amax(dim=0), none, incoming, gated)
    matrices = []
    for block, sources in zip(gated, together.sources, strict=True):
        own = [rows[:, incoming[k].channels][:, :, block.channels] for k in sources]
        empty = rows.new_zeros((len(table), 0, len(block.channels)))
        matrices.append((torch.cat(own, dim=1) if own else empty).contiguous())
    return LinearOfElements(together.sources, matrices, components)


def _weights(network: nn.Module, order: np.ndarray) -> nn.Module:
    """Return the network of the radial functions as one of torch, its outputs in another order."""
    found: list[nn.Module] = []
    linears = [part for part in network.mlp.children() if hasattr(part, "alpha")]
    for part in network.mlp.children():
        if part not in linears:
            found.append(part)
            continue
        matrix = (part.weight * part.alpha).detach().t()
        bias = None if part.bias is None else part.bias.detach()
        if part is linears[-1]:
            matrix, bias = matrix[order], None if bias is None else bias[order]
        linear = nn.Linear(matrix.size(1), matrix.size(0), bias=bias is not None)
        linear.weight = nn.Parameter(matrix.contiguous(), requires_grad=False)
        if bias is not None:
            linear.bias = nn.Parameter(bias, requires_grad=False)
        found.append(linear)
    return nn.Sequential(*found)
