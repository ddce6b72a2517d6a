"""From a model of SevenNet to a :class:`~mlip_engines.adapters.sevennet.network.ConvolutionalNetwork`.

A linear map of e3nn is read off what it does to unit vectors: that holds for each of its kinds and versions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mlip_engines.adapters.sevennet.network import (
    Convolution,
    ConvolutionalNetwork,
    Gate,
    Layer,
    Linear,
    Nonlinearity,
)

# Of a matrix, relative to its largest element: digits of float32.
_NOISE = 1e-6
_FUNCTIONS = {
    "silu": "silu",
    "SiLU": "silu",
    "tanh": "tanh",
    "abs": "abs",
    "ShiftedSoftPlus": "shifted_softplus",
    "shifted_softplus": "shifted_softplus",
}


class Block(NamedTuple):
    """One irrep of features in the flat layout of e3nn: where each channel of its first component is."""

    degree: int
    channels: np.ndarray  # (C,)

    @property
    def components(self) -> int:
        """2 l + 1."""
        return 2 * self.degree + 1


class RadialFunctions(nn.Module):
    """Radial functions times a function that fades at the cutoff, both of SevenNet."""

    def __init__(self, basis: nn.Module, fade: nn.Module):
        super().__init__()
        self.basis, self.fade = basis, fade

    def forward(self, lengths: Tensor) -> Tensor:
        """Return (E, R) for lengths (E,)."""
        return self.basis(lengths) * self.fade(lengths).unsqueeze(-1)


def convert(model: nn.Module, kept: list[int], modality: int | None) -> ConvolutionalNetwork:
    """Return the network of a model of SevenNet, for some of its elements and one of its modalities.

    Parameters
    ----------
    model : AtomGraphSequential
        In float64 or float32; its parts become parts of the network.
    kept : list of int
        Positions of the elements in the model's table of types.
    modality : int, optional
        Which of several levels of theory, for a model of several.

    Raises
    ------
    ValueError
        If the model has parts that are not known here.
    """
    parts = dict(model.named_children())
    known = {
        "edge_embedding", "onehot_idx_to_onehot", "one_hot_modality", "onehot_to_feature_x",
        "reduce_input_to_hidden", "reduce_hidden_to_energy", "rescale_atomic_energy", "reduce_total_enegy",
        "force_output", "modal_input_prepare",
    }  # fmt: skip
    n_layers = sum(name.endswith("_convolution") for name in parts)
    stages = ("self_connection_intro", "self_interaction_1", "convolution", "self_interaction_2",
              "self_connection_outro", "equivariant_gate")  # fmt: skip
    known |= {f"{k}_{stage}" for k in range(n_layers) for stage in stages}
    if set(parts) - known:
        raise ValueError(
            f"this SevenNet model has parts that the adapter does not know: {', '.join(sorted(set(parts) - known))}"
        )
    embedding, bias = _matrix(parts["onehot_to_feature_x"], modality)
    layers = []
    incoming = [Block(0, np.arange(embedding.size(1)))]
    for k in range(n_layers):
        layer, incoming = _layer(
            {stage: parts[f"{k}_{stage}"] for stage in stages}, incoming, modality
        )
        layers.append(layer)
    readout, offset = _matrix(parts["reduce_input_to_hidden"], modality)
    last, last_offset = _matrix(parts["reduce_hidden_to_energy"], modality)
    edges = parts["edge_embedding"]
    scale = _of_species(parts["rescale_atomic_energy"].scale, modality, embedding.size(0))
    return ConvolutionalNetwork(
        cutoff=float(model.cutoff),
        numbers=[_numbers(model)[k] for k in kept],
        embedding=(embedding + bias)[kept].clone(),
        spherical_harmonics=_scripted(edges.spherical),
        radial_functions=RadialFunctions(
            _scripted(edges.basis_function), _scripted(edges.cutoff_function)
        ),
        layers=layers,
        readout=(readout @ last)[:, 0].clone(),
        offset=float(offset @ last[:, 0] + last_offset[0]),
        scale=scale[kept].to(embedding.dtype),
    ).requires_grad_(False)


def free_atoms(model: nn.Module, kept: list[int], modality: int | None) -> list[float]:
    """Return what each kept element adds to the energy wherever it is, eV."""
    shift = _of_species(model.rescale_atomic_energy.shift, modality, len(_numbers(model)))
    return shift[kept].double().tolist()


def _numbers(model: nn.Module) -> list[int]:
    return sorted(model.type_map, key=model.type_map.get)


def _of_species(values: Tensor, modality: int | None, n_species: int) -> Tensor:
    """Return one value per species: of one number, of a table, or of a table for each modality."""
    values = values.detach()
    if values.dim() == 2:
        values = values[modality]
    return values.expand(n_species)


def _scripted(module: nn.Module) -> nn.Module:
    from e3nn.util.jit import script

    return script(module.eval())


def _matrix(linear: nn.Module, modality: int | None) -> tuple[Tensor, Tensor]:
    """Return matrix (D, D') and bias (D',) of a linear map, for one modality."""
    rows, everything = matrix_of(linear.linear)
    n_modalities = getattr(linear, "num_modalities", 0)
    if n_modalities > 1:
        own = len(rows) - n_modalities
        return rows[:own], everything + rows[own + modality]
    return rows, everything


def matrix_of(linear: nn.Module) -> tuple[Tensor, Tensor]:
    """Return matrix (D, D') and bias (D',) of a linear map of e3nn."""
    weight = next(linear.parameters())
    size = linear.irreps_in.dim
    with torch.no_grad():
        everything = linear(torch.zeros(1, size, dtype=weight.dtype))[0]
        rows = linear(torch.eye(size, dtype=weight.dtype)) - everything
    return rows, everything


def blocks_of(irreps: Any) -> list[Block]:
    """Return the irreps of e3nn, as they come."""
    found, start = [], 0
    for multiplicity, irrep in irreps:
        size = 2 * irrep.l + 1
        found.append(Block(irrep.l, start + size * np.arange(multiplicity)))
        start += size * multiplicity
    return found


def linear_of(
    matrix: Tensor, bias: Tensor, incoming: list[Block], outgoing: list[Block], factor: float = 1.0
) -> Linear:
    """Return a linear map between features in blocks."""
    sources, matrices, biases = [], [], []
    noise = _NOISE * float(matrix.abs().max())
    for block in outgoing:
        own, found = [], []
        for k, other in enumerate(incoming):
            if other.degree != block.degree:
                continue
            part = matrix[other.channels][:, block.channels]
            if float(part.abs().max()) > noise:
                own.append(part)
                found.append(k)
        sources.append(found)
        empty = matrix.new_zeros((0, len(block.channels)))
        matrices.append((factor * torch.cat(own) if own else empty).contiguous())
        added = bias[block.channels] if block.degree == 0 else bias[:0]
        biases.append(added.clone() if bool((added != 0).any()) else bias[:0].clone())
    return Linear(sources, matrices, biases, [block.components for block in outgoing])


def _layer(
    parts: dict[str, nn.Module], incoming: list[Block], modality: int | None
) -> tuple[Layer, list[Block]]:
    """Return a layer and the blocks of what it gives."""
    gate, outgoing, gated = gate_of(parts["equivariant_gate"].gate)
    convolution, inside, messages = convolution_of(
        parts["convolution"].convolution,
        next(parts["self_interaction_1"].parameters()).dtype,
        partial(_radial, parts["convolution"]),
    )
    connection = parts["self_connection_intro"]
    if not hasattr(connection, "linear"):
        raise ValueError(
            "this SevenNet model has the self-connection of NequIP, by element, which the adapter does not know: only "
            "'self_connection_type: linear' is"
        )
    denominator = float(parts["convolution"].denominator)
    layer = Layer(
        linear_of(*_matrix(parts["self_interaction_1"], modality), incoming, inside),
        convolution,
        linear_of(
            *_matrix(parts["self_interaction_2"], modality), messages, gated, 1.0 / denominator
        ),
        linear_of(*_matrix(connection, modality), incoming, gated),
        gate,
    )
    return layer, outgoing


def gate_of(gate: nn.Module) -> tuple[Gate, list[Block], list[Block]]:
    """Return a gate, the blocks of what it gives, and those of what it takes: scalars, gates, gated."""
    places = gate.sc(torch.arange(gate.irreps_in.dim, dtype=torch.float64)[None])
    scalars, gates, gated = (np.rint(place[0].numpy()).astype(int) for place in places)
    taken = [Block(0, scalars), Block(0, gates)]
    given, start = [Block(0, np.arange(len(scalars)))], len(scalars)
    channels = []
    for block in blocks_of(gate.irreps_gated):
        taken.append(Block(block.degree, gated[block.channels]))
        given.append(Block(block.degree, start + block.channels))
        channels.append(len(block.channels))
    made = Gate(_nonlinearity(gate.act_scalars), _nonlinearity(gate.act_gates), channels)
    return made, given, taken if channels else taken[:1]


def _nonlinearity(activation: nn.Module) -> Nonlinearity:
    names, constants, channels = [], [], []
    for (multiplicity, _), function in zip(activation.irreps_in, activation.acts, strict=True):
        name = _FUNCTIONS.get(getattr(function.f, "__name__", type(function.f).__name__))
        if name is None:
            raise ValueError(f"expected one of {', '.join(_FUNCTIONS)}, got {function.f}")
        names.append(name)
        constants.append(float(function.cst))
        channels.append(multiplicity)
    return Nonlinearity(names, constants, channels)


def convolution_of(
    product: nn.Module, dtype: torch.dtype, radial: Callable[[np.ndarray], nn.Module]
) -> tuple[Convolution, list[Block], list[Block]]:
    """Return a convolution, the blocks of what it takes, and those of its messages, path by path.

    Parameters
    ----------
    product : TensorProduct
        Of e3nn: features of a neighbour times spherical harmonics.
    dtype : torch.dtype
    radial : callable
        From an order of the product's weights to the module that makes them of radial functions, in this order.
    """
    from e3nn import o3

    inside = blocks_of(product.irreps_in1)
    middle = blocks_of(product.irreps_out)
    at_second = np.cumsum([0, *(2 * irrep.l + 1 for _, irrep in product.irreps_in2)])
    offsets = np.cumsum([0, *(len(inside[i.i_in1].channels) for i in product.instructions)])
    couplings, paths, channels, pieces, messages, columns = [], [], [], [], [], []
    for k, block in enumerate(inside):
        tables, rows, own = [], [], []
        for number, instruction in enumerate(product.instructions):
            if instruction.i_in1 != k:
                continue
            if instruction.connection_mode != "uvu" or not instruction.has_weight:
                raise ValueError(f"expected tensor products 'uvu', got {instruction}")
            harmonic = product.irreps_in2[instruction.i_in2].ir.l
            result = middle[instruction.i_out]
            symbol = o3.wigner_3j(block.degree, harmonic, result.degree, dtype=torch.float64)
            table = torch.zeros(int(at_second[-1]), result.components, block.components)
            table = table.double()
            first = int(at_second[instruction.i_in2])
            table[first : first + 2 * harmonic + 1] = instruction.path_weight * symbol.permute(
                1, 2, 0
            )
            tables.append(table)
            rows += [len(own)] * result.components
            own.append(result.components)
            messages.append(result)
            columns.append(np.arange(offsets[number], offsets[number + 1]))
        empty = torch.zeros(int(at_second[-1]), 0, block.components)
        couplings.append((torch.cat(tables, dim=1) if tables else empty).to(dtype))
        paths.append(torch.tensor(rows, dtype=torch.int64))
        channels.append(len(block.channels))
        pieces.append(own)
    weights = radial(np.concatenate(columns))  # in the order of the loops above
    return Convolution(couplings, paths, channels, pieces, weights), inside, messages


def _radial(convolution: nn.Module, order: np.ndarray) -> nn.Module:
    network = convolution.weight_nn
    last = list(network.children())[-1]
    with torch.no_grad():
        last.weight = nn.Parameter(last.weight[:, order].contiguous())
    return _scripted(network)
