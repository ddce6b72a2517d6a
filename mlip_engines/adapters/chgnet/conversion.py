"""From a model of CHGNet to a :class:`~mlip_engines.adapters.chgnet.network.BondAngleNetwork`."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from mlip_engines.adapters.chgnet.network import (
    AngleMessage,
    AngleUpdate,
    AngularBasis,
    AtomConvolution,
    BondAngleNetwork,
    BondConvolution,
    Gate,
    Layer,
    RadialBasis,
)


def convert(model: Any, numbers: list[int]) -> BondAngleNetwork:
    """Return the network of a model of CHGNet, for some of its elements.

    Parameters
    ----------
    model : chgnet.model.CHGNet
        Its parts are copied.
    numbers : list of int
        Atomic numbers to keep.

    Raises
    ------
    ValueError
        If an energy of the model does not depend on neighbours alone, or does not fade with them.
    """
    _refuse(model)
    widths = model.atom_fea_dim, model.bond_fea_dim, model.angle_embedding.out_features
    bond_layers, angle_layers = list(model.bond_conv_layers), list(model.angle_layers)
    n_layers = len(model.atom_conv_layers)
    layers = []
    for k, atom_layer in enumerate(model.atom_conv_layers):
        bond_layer = bond_layers[k] if k < n_layers - 1 else None
        # the angles that come after the last bonds are read by nobody
        angle_layer = angle_layers[k] if bond_layer is not None and k < n_layers - 2 else None
        layers.append(
            Layer(
                _atom_convolution(atom_layer, *widths[:2]),
                None if bond_layer is None else _bond_convolution(bond_layer, *widths),
                None if angle_layer is None else _angle_update(angle_layer, *widths),
            )
        )
    bases = model.bond_basis_expansion
    edge, short = (_radial_basis(b) for b in (bases.rbf_expansion_ag, bases.rbf_expansion_bg))
    rows = torch.tensor(numbers) - 1
    readout = [_norm(model.readout_norm), *_sequence(model.mlp)]
    network = BondAngleNetwork(
        numbers,
        model.atom_embedding.embedding.weight.detach()[rows].clone(),
        edge.cutoff,
        short.cutoff,
        edge,
        short,
        AngularBasis(_frequencies(model.angle_basis_expansion.fourier_expansion)),
        copy.deepcopy(model.bond_embedding),
        copy.deepcopy(model.angle_embedding),
        copy.deepcopy(model.bond_weights_ag),
        copy.deepcopy(model.bond_weights_bg),
        layers,
        copy.deepcopy(model.site_wise),
        nn.Sequential(*readout),
    )
    return network.requires_grad_(False).eval()


def _refuse(model: Any) -> None:
    if not model.mlp_first:
        raise ValueError(
            "the model averages features over all atoms before its last perceptron (mlp_first=False): its energy is no "
            "sum of energies of atoms, so it cannot be evaluated by neighbours"
        )
    for layer in model.bond_conv_layers:
        if layer is None:
            continue
        biases = [part.bias for part in _sequence(layer.mlp_out)]
        if layer.bond_norm is not None or any(b is not None and bool(b.any()) for b in biases):
            raise ValueError(
                "the model changes all bonds as soon as there is an angle anywhere (mlp_out_bias or conv_norm, as in "
                "CHGNet 0.2.0): its energy does not depend on neighbours alone; take 0.3.0 or r2scan"
            )
    bases = model.bond_basis_expansion
    for basis in (bases.rbf_expansion_ag, bases.rbf_expansion_bg):
        if basis.smooth_cutoff is None or basis.smooth_cutoff.p == 0:
            raise ValueError(
                "the model does not fade at its cutoff (cutoff_coeff 0): its energy jumps there; train it with "
                "cutoff_coeff 5 to 8"
            )
    long, short = (1.0 / b.inv_cutoff for b in (bases.rbf_expansion_ag, bases.rbf_expansion_bg))
    if short > long:
        raise ValueError(
            f"expected a cutoff of bonds in angles that is at most that of the atoms, {long:g} Å, got {short:g} Å"
        )


def _frequencies(basis: Any) -> torch.Tensor:
    return basis.frequencies.detach().clone()


def _radial_basis(basis: Any) -> RadialBasis:
    return RadialBasis(
        _frequencies(basis), float(basis.smooth_cutoff.cutoff), float(basis.smooth_cutoff.p)
    )


def _sequence(perceptron: Any) -> list[nn.Module]:
    """Return copies of the layers of an MLP, without dropout, which does nothing outside of training."""
    if not hasattr(perceptron, "layers"):  # of gated perceptrons and matrices
        parts = []
        for part in perceptron:
            parts += [_whole_gate(part)] if hasattr(part, "mlp_core") else [copy.deepcopy(part)]
        return parts
    return [copy.deepcopy(p) for p in perceptron.layers if not isinstance(p, nn.Dropout)]


def _norm(norm: nn.Module | None) -> nn.Module:
    return nn.Identity() if norm is None else copy.deepcopy(norm)


def _gate(gated: Any) -> tuple[nn.Linear, Gate]:
    """Return the first matrices of core and gate of a GatedMLP as one, and the rest."""
    core, gate = _sequence(gated.mlp_core), _sequence(gated.mlp_gate)
    first = nn.Linear(core[0].in_features, 2 * core[0].out_features, bias=core[0].bias is not None)
    with torch.no_grad():
        first.weight = nn.Parameter(torch.cat((core[0].weight, gate[0].weight)))
        if first.bias is not None:
            first.bias = nn.Parameter(torch.cat((core[0].bias, gate[0].bias)))
    has_norm = gated.norm is not None
    rest = Gate(
        nn.Sequential(*core[1:], _norm(gated.bn1 if has_norm else None), copy.deepcopy(gated.activation)),
        nn.Sequential(*gate[1:], _norm(gated.bn2 if has_norm else None), nn.Sigmoid()),
    )  # fmt: skip
    return first, rest


def _whole_gate(gated: Any) -> nn.Module:
    return nn.Sequential(*_gate(gated))


def _parts(first: nn.Linear, widths: list[int]) -> list[nn.Linear]:
    """Divide a matrix by what it is applied to; the first part has the constant."""
    parts, start = [], 0
    for width in widths:
        part = nn.Linear(width, first.out_features, bias=start == 0 and first.bias is not None)
        columns = first.weight.detach()[:, start : start + width].contiguous()
        part.weight = nn.Parameter(columns)
        if part.bias is not None:
            part.bias = nn.Parameter(first.bias.detach().clone())
        parts.append(part)
        start += width
    return parts


def _atom_convolution(layer: Any, atom: int, bond: int) -> AtomConvolution:
    first, gate = _gate(layer.twoBody_atom)
    of_centre, of_bond, of_neighbor = _parts(first, [atom, bond, atom])
    out = nn.Sequential(*_sequence(layer.mlp_out))
    return AtomConvolution(of_centre, of_bond, of_neighbor, gate, out, _norm(layer.atom_norm))


def _message(gated: Any, atom: int, bond: int, angle: int) -> AngleMessage:
    first, gate = _gate(gated)
    return AngleMessage(*_parts(first, [bond, bond, angle, atom]), gate)


def _bond_convolution(layer: Any, *widths: int) -> BondConvolution:
    message = _message(layer.twoBody_bond, *widths)
    return BondConvolution(message, nn.Sequential(*_sequence(layer.mlp_out)))


def _angle_update(layer: Any, *widths: int) -> AngleUpdate:
    return AngleUpdate(_message(layer.twoBody_bond, *widths), _norm(layer.angle_norm))
