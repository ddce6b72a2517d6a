"""From a model of mace-torch to a :class:`~mlip_engines.adapters.mace.network.MaceNetwork`: weights in a new layout."""

from __future__ import annotations

import copy
from itertools import combinations_with_replacement, permutations
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mlip_engines.adapters.mace.linear import Irrep, Linear, LinearOfSpecies
from mlip_engines.adapters.mace.network import Interaction, MaceNetwork, Product, Readout

# How each block normalises its messages, and where its residual connection is.
KINDS = {
    "RealAgnosticInteractionBlock": ("neighbors", "after"),
    "RealAgnosticResidualInteractionBlock": ("neighbors", "before"),
    "RealAgnosticDensityInteractionBlock": ("density", "after"),
    "RealAgnosticDensityResidualInteractionBlock": ("density", "before"),
}

# Clebsch-Gordan coefficients that are zero but for the digits of float32.
_NOISE = 1e-6


def convert(model: nn.Module, kept: list[int], head: int) -> MaceNetwork:
    """Return the network of a model of mace-torch, for some of its elements and one of its heads.

    Parameters
    ----------
    model : MACE or ScaleShiftMACE
        In float64 or float32; not changed.
    kept : list of int
        Positions of the elements in the model's list of atomic numbers.
    head : int

    Raises
    ------
    ValueError
        If the model has blocks that are not known here.
    """
    from e3nn.util.jit import compile as compile_e3nn

    def scripted(module: nn.Module) -> nn.Module:
        return compile_e3nn(copy.deepcopy(module).eval(), in_place=True)

    interactions, products, hidden = [], [], []
    for interaction, product in zip(model.interactions, model.products, strict=True):
        interactions.append(_interaction(interaction, kept, scripted))
        products.append(_product(product, kept))
        hidden.append(_irreps(product.linear.irreps_out))
    readouts = []
    for k, readout in enumerate(model.readouts):
        layer = k if len(model.readouts) > 1 else len(hidden) - 1
        readouts.append((layer, Readout(scripted(readout), hidden[layer], head)))
    embedding = model.node_embedding.linear
    numbers = [int(model.atomic_numbers[k]) for k in kept]
    repulsion = getattr(model, "pair_repulsion_fn", None)
    with torch.no_grad():
        one_hot = torch.eye(len(model.atomic_numbers), dtype=embedding.weight.dtype)
        embedded = embedding(one_hot)[kept]
    scale = getattr(model, "scale_shift", None)
    network = MaceNetwork(
        cutoff=float(model.r_max),
        numbers=numbers,
        embedding=embedded,
        spherical_harmonics=scripted(model.spherical_harmonics),
        radial_embedding=scripted(model.radial_embedding),
        repulsion=None if repulsion is None else scripted(repulsion),
        interactions=interactions,
        products=products,
        readouts=readouts,
        scale=1.0 if scale is None else float(torch.atleast_1d(scale.scale)[head]),
    )
    return network.requires_grad_(False)


def free_atoms(model: nn.Module, kept: list[int], head: int) -> list[float]:
    """Return what each kept element adds to the energy wherever it is, eV."""
    energies = torch.atleast_2d(model.atomic_energies_fn.atomic_energies)[head][kept].double()
    if hasattr(model, "scale_shift"):
        energies = energies + torch.atleast_1d(model.scale_shift.shift)[head].double()
    return energies.tolist()


def _irreps(irreps: Any) -> list[Irrep]:
    """Return irreps of e3nn with equal neighbours joined; all have the same number of channels."""
    joined: list[Irrep] = []
    for _, (degree, parity) in irreps:
        if joined and joined[-1][:2] == (degree, parity):
            joined[-1] = joined[-1]._replace(copies=joined[-1].copies + 1)
        else:
            joined.append(Irrep(degree, parity, 1))
    return joined


def _linear(linear: nn.Module) -> Linear:
    """Return a linear map of e3nn."""
    incoming, outgoing = _irreps(linear.irreps_in), _irreps(linear.irreps_out)
    _require(
        [o[:2] for o in outgoing] == [i[:2] for i in incoming if i[:2] in {o[:2] for o in outgoing}]
        and all(o.copies == 1 for o in outgoing),
        f"a linear map from {linear.irreps_in} to {linear.irreps_out}",
    )
    blocks: dict[tuple[int, int], Tensor] = {}
    offset = 0
    for instruction in linear.instructions:
        shape = tuple(instruction.path_shape)
        size = int(np.prod(shape))
        block = linear.weight.detach()[offset : offset + size].view(shape)
        blocks[instruction.i_in, instruction.i_out] = instruction.path_weight * block
        offset += size
    kinds_in = [(ir.l, ir.p) for _, ir in linear.irreps_in]
    matrices: list[Tensor | None] = []
    for irrep in incoming:
        place = next((k for k, o in enumerate(outgoing) if o[:2] == irrep[:2]), None)
        if place is None:
            matrices.append(None)
            continue
        rows = [blocks[k, place] for k, kind in enumerate(kinds_in) if kind == irrep[:2]]
        matrices.append(torch.cat(rows).clone())
    return Linear(incoming, matrices)


def _linear_of_species(product: nn.Module, kept: list[int]) -> LinearOfSpecies:
    """Return a fully connected tensor product of e3nn with the one-hot vector of an atom's element."""
    incoming, outgoing = _irreps(product.irreps_in1), _irreps(product.irreps_out)
    matrices: list[Tensor | None] = [None] * len(incoming)
    offset = 0
    for instruction in product.instructions:
        shape = tuple(instruction.path_shape)  # (C, Z, C')
        size = int(np.prod(shape))
        weight = product.weight.detach()[offset : offset + size].view(shape)
        offset += size
        # 1 / sqrt(2 l + 1) is the Clebsch-Gordan coefficient with a scalar, in the convention of e3nn
        degree = incoming[instruction.i_in1].degree
        factor = instruction.path_weight / (2 * degree + 1) ** 0.5
        matrices[instruction.i_in1] = factor * weight[:, kept].transpose(0, 1).contiguous()
    found = [i[:2] for i, matrix in zip(incoming, matrices, strict=True) if matrix is not None]
    _require(
        found == [o[:2] for o in outgoing][: len(found)],
        f"a residual connection from {product.irreps_in1} to {product.irreps_out}",
    )
    return LinearOfSpecies(incoming, matrices)


def _interaction(block: nn.Module, kept: list[int], scripted: Any) -> Interaction:
    kind = type(block).__name__
    _require(kind in KINDS, f"blocks of the kind {kind}")
    normalisation, residual = KINDS[kind]
    coupling, path = _coupling(block.conv_tp)
    skip = _linear_of_species(block.skip_tp, kept)
    return Interaction(
        up=_linear(block.linear_up),
        down=_linear(block.linear),
        radial=scripted(block.conv_tp_weights),
        coupling=coupling.to(block.linear.weight.dtype),
        path=path,
        density=scripted(block.density_fn) if normalisation == "density" else None,
        n_neighbors=float(block.avg_num_neighbors),
        skip_before=skip if residual == "before" else None,
        skip_after=skip if residual == "after" else None,
    )


def _coupling(product: nn.Module) -> tuple[Tensor, Tensor]:
    """Return the coefficients (B, K, A) of a channelwise tensor product of e3nn, and the path of each component."""
    from e3nn import o3

    def starts(irreps: Any) -> list[int]:
        sizes = [2 * ir.l + 1 for _, ir in irreps]
        return np.cumsum([0, *sizes]).tolist()

    first, second, last = product.irreps_in1, product.irreps_in2, product.irreps_out
    at_first, at_second, at_last = starts(first), starts(second), starts(last)
    coupling = torch.zeros(at_second[-1], at_last[-1], at_first[-1], dtype=torch.float64)
    path = torch.zeros(at_last[-1], dtype=torch.int64)
    for p, instruction in enumerate(product.instructions):
        mode = instruction.connection_mode
        _require(mode == "uvu" and instruction.has_weight, f"a tensor product {mode}")
        a, b, k = instruction.i_in1, instruction.i_in2, instruction.i_out
        degrees = first[a].ir.l, second[b].ir.l, last[k].ir.l
        symbol = o3.wigner_3j(*degrees, dtype=torch.float64)  # (2 l1 + 1, 2 l2 + 1, 2 l3 + 1)
        rows = slice(at_second[b], at_second[b + 1]), slice(at_last[k], at_last[k + 1])
        coupling[(*rows, slice(at_first[a], at_first[a + 1]))] += (
            instruction.path_weight * symbol.permute(1, 2, 0)
        )
        path[rows[1]] = p
    return coupling, path


def _product(block: nn.Module, kept: list[int]) -> Product:
    """Return the symmetric contraction of a layer, with the terms of the polynomial written out."""
    is_agnostic = bool(getattr(block, "use_agnostic_product", False))
    contractions = getattr(block.symmetric_contractions, "contractions", None)
    _require(contractions is not None, f"products of {type(block.symmetric_contractions).__name__}")
    coefficients, factors, output = [], [], []
    size = 0
    for contraction in contractions:
        degree = int(contraction.correlation)
        # weights of the highest order first
        of_order = [contraction.weights_max, *contraction.weights]
        n_features = contraction.U_matrix_1.size(-2)
        n_components = 1
        for order, weights in zip(range(degree, 0, -1), of_order, strict=True):
            table = getattr(contraction, f"U_matrix_{order}").double()
            if table.dim() == order + 1:
                table = table[None]
            n_components = table.size(0)
            rows = [0] if is_agnostic else kept
            of_element = weights.detach().double()[rows]  # (Z, P, C)
            for component in range(n_components):
                for term in combinations_with_replacement(range(n_features), order):
                    coupled = sum(table[(component, *each)] for each in set(permutations(term)))
                    if bool((coupled.abs() > _NOISE).any()):
                        coefficients.append(torch.einsum("p,zpc->zc", coupled, of_element))
                        factors.append([*term, *[n_features] * (3 - order)])
                        output.append(size + component)
        size += n_components
    order = sorted(range(len(output)), key=lambda t: (output[t], factors[t]))
    return Product(
        torch.stack(coefficients, dim=1)[:, order].to(block.linear.weight.dtype),
        torch.tensor(factors)[order],
        torch.tensor(output)[order],
        size,
        is_agnostic,
        _linear(block.linear),
    )


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(
            f"this MACE model has {what}, which this adapter does not know; please report it, with the version of "
            "mace-torch that has trained it"
        )
