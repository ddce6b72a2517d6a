"""The network of SevenNet and NequIP, of its own weights, as the contract wants it.

Park, Kim, Hwang, Han, J. Chem. Theory Comput. 20, 4857 (2024); Batzner et al., Nature Commun. 13, 2453 (2022). The
evaluation differs from that of the packages in its layout: features are one tensor per *irrep* (a scalar, a vector and
so on) of shape (atoms, components, channels), channels last. Tensor products with the spherical harmonics of an edge
are summed over the neighbours as they are made.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlip_engines.model.graph import Graph
from mlip_engines.operators import evaluated_atoms, exchange, pad_to_all, tensor_product_sum


class Linear(nn.Module):
    """Mix the channels of features: each tensor that comes out is a sum over some of those that go in.

    Parameters
    ----------
    sources : list of list of int
        For each tensor that comes out, those that go in; none gives zeros.
    matrices : list of (sum of the sources' channels, C) tensors
    biases : list of (C,) tensors
        Added to every component; empty where there is none.
    components : list of int
        Of each tensor that comes out.
    """

    sources: list[list[int]]
    components: list[int]

    def __init__(
        self,
        sources: list[list[int]],
        matrices: list[Tensor],
        biases: list[Tensor],
        components: list[int],
    ):
        super().__init__()
        self.sources, self.components = sources, components
        self.matrices = nn.ParameterList([nn.Parameter(m, requires_grad=False) for m in matrices])
        self.biases = nn.ParameterList([nn.Parameter(b, requires_grad=False) for b in biases])

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Return a list of (n, 2 l + 1, C) tensors from another."""
        mixed: list[Tensor] = []
        for k, (matrix, bias) in enumerate(zip(self.matrices, self.biases)):  # noqa: B905  TorchScript
            parts = [features[source] for source in self.sources[k]]
            if len(parts) == 0:
                first = features[0]
                size = (first.size(0), self.components[k], matrix.size(1))
                rows = torch.zeros(size, dtype=first.dtype, device=first.device)
            else:
                together = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
                rows = torch.matmul(together, matrix)
            mixed.append(rows if bias.size(0) == 0 else rows + bias)
        return mixed


class Convolution(nn.Module):
    """What an atom collects from its neighbours.

    Parameters
    ----------
    couplings : list of (B, K, A) tensors
    paths : list of (K,) int64 tensors
        For each tensor of features that goes in, as in :func:`mlip_engines.operators.tensor_product_sum`.
    channels : list of int
        Of each tensor that goes in.
    pieces : list of list of int
        For each of them, the components 2 l + 1 of its paths.
    radial : nn.Module
        Radial functions (E, R) to the weights of all paths (E, sum of P C), ordered by what goes in.
    """

    n_paths: list[int]
    channels: list[int]
    pieces: list[list[int]]

    def __init__(
        self,
        couplings: list[Tensor],
        paths: list[Tensor],
        channels: list[int],
        pieces: list[list[int]],
        radial: nn.Module,
    ):
        super().__init__()
        self.couplings = nn.ParameterList([nn.Parameter(c, requires_grad=False) for c in couplings])
        self.paths = nn.ParameterList([nn.Parameter(p, requires_grad=False) for p in paths])
        self.channels, self.pieces, self.radial = channels, pieces, radial
        self.n_paths = [len(piece) for piece in pieces]

    def forward(
        self,
        sources: list[Tensor],
        harmonics: Tensor,
        radial: Tensor,
        first_edge: Tensor,
        neighbor: Tensor,
    ) -> list[Tensor]:
        """Return one (n, 2 l + 1, C) tensor per path, from (N, 2 l + 1, C) tensors of all atoms."""
        weights = self.radial(radial)  # (E, sum of P C)
        messages: list[Tensor] = []
        start = 0
        for k, (coupling, path) in enumerate(zip(self.couplings, self.paths)):  # noqa: B905
            n_paths, channels = self.n_paths[k], self.channels[k]
            if n_paths > 0:
                own = weights.narrow(1, start, n_paths * channels)
                own = own.reshape(own.size(0), n_paths, channels)
                start += n_paths * channels
                collected = tensor_product_sum(
                    sources[k], harmonics, own, coupling, path, first_edge, neighbor
                )
                row = 0
                for components in self.pieces[k]:
                    messages.append(collected.narrow(1, row, components))
                    row += components
        return messages


class Nonlinearity(nn.Module):
    """Functions of scalars, each times a constant that keeps the second moment of a Gaussian.

    Parameters
    ----------
    names : list of str
        ``silu``, ``tanh``, ``abs`` or ``shifted_softplus``, one for each group of channels.
    constants : list of float
    channels : list of int
        Of each group.
    """

    names: list[str]
    constants: list[float]
    channels: list[int]

    def __init__(self, names: list[str], constants: list[float], channels: list[int]):
        super().__init__()
        self.names, self.constants, self.channels = names, constants, channels

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., C) for (..., C)."""
        changed: list[Tensor] = []
        start = 0
        for name, constant, channels in zip(self.names, self.constants, self.channels):  # noqa: B905
            part = x.narrow(-1, start, channels)
            start += channels
            if name == "silu":
                part = functional.silu(part)
            elif name == "tanh":
                part = torch.tanh(part)
            elif name == "abs":
                part = torch.abs(part)
            else:
                part = functional.softplus(part) - 0.6931471805599453  # log 2
            changed.append(constant * part)
        return changed[0] if len(changed) == 1 else torch.cat(changed, dim=-1)


class Gate(nn.Module):
    """Nonlinearity: scalars go through a function, everything else is multiplied by a function of other scalars.

    Parameters
    ----------
    scalars, gates : Nonlinearity
    channels : list of int
        Of the features that are gated; their gates follow each other in this order.
    """

    channels: list[int]

    def __init__(self, scalars: Nonlinearity, gates: Nonlinearity, channels: list[int]):
        super().__init__()
        self.scalars, self.gates, self.channels = scalars, gates, channels

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Return scalars and gated features, from scalars, gates and features."""
        result = [self.scalars(features[0])]
        if len(self.channels) > 0:
            factors = self.gates(features[1])  # (n, 1, sum of C)
            start = 0
            for k, channels in enumerate(self.channels):
                result.append(features[2 + k] * factors.narrow(2, start, channels))
                start += channels
        return result


class Layer(nn.Module):
    """One layer of message passing.

    Parameters
    ----------
    up, down : Linear
        Before and after the sum over neighbours; the latter divides by their typical number.
    around : nn.Module
        The residual connection.
    convolution : Convolution
    gate : Gate
    """

    def __init__(
        self, up: Linear, convolution: Convolution, down: Linear, around: Linear, gate: Gate
    ):
        super().__init__()
        self.up, self.convolution, self.down = up, convolution, down
        self.around, self.gate = around, gate

    def forward(
        self,
        features: list[Tensor],
        sources: list[Tensor],
        harmonics: Tensor,
        radial: Tensor,
        first_edge: Tensor,
        neighbor: Tensor,
    ) -> list[Tensor]:
        """Return the features of n atoms from theirs and the sources of all atoms."""
        messages = self.convolution(sources, harmonics, radial, first_edge, neighbor)
        new = self.down(messages)
        old = self.around(features)
        return self.gate([a + b for a, b in zip(new, old)])  # noqa: B905


class ConvolutionalNetwork(nn.Module):
    """Atomic energies by equivariant convolutions; follows :mod:`mlip_engines.model.contract`.

    Parameters
    ----------
    cutoff : float, Å
    numbers : list of int
        Atomic numbers, in the order of all tables.
    embedding : (Z, C) tensor
        Features of each element before the first layer.
    spherical_harmonics : nn.Module
        Vectors (E, 3) to (E, B).
    radial_functions : nn.Module
        Lengths (E,) to (E, R), zero at the cutoff.
    layers : list of Layer
    readout : (C,) tensor
        The energy per scalar of the last layer.
    offset : float
        Added to their sum.
    scale : (Z,) tensor
        Factor on the energy of each element.
    """

    heads: list[str]
    feature_exchange = True

    def __init__(
        self,
        cutoff: float,
        numbers: list[int],
        embedding: Tensor,
        spherical_harmonics: nn.Module,
        radial_functions: nn.Module,
        layers: list[Layer],
        readout: Tensor,
        offset: float,
        scale: Tensor,
    ):
        super().__init__()
        self.cutoff = float(cutoff)
        self.message_passing_layers = len(layers)
        self.heads = ["energy"]
        index = torch.full((119,), -1, dtype=torch.int64)
        index[torch.tensor(numbers)] = torch.arange(len(numbers))
        self.register_buffer("species_index", index)
        self.register_buffer("embedding", embedding)
        self.register_buffer("readout", readout)
        self.register_buffer("scale", scale)
        self.offset = float(offset)
        self.spherical_harmonics = spherical_harmonics
        self.radial_functions = radial_functions
        self.layers = nn.ModuleList(layers)

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,)."""
        n_atoms = graph.atomic_numbers.size(0)
        n = evaluated_atoms(n_atoms)
        everywhere = self.species_index[graph.atomic_numbers]  # (N,)
        species = everywhere[:n]
        centre, neighbor = graph.edge_index[0], graph.edge_index[1].contiguous()
        first_edge = functional.pad(torch.cumsum(torch.bincount(centre, minlength=n), 0), [1, 0])
        lengths = torch.linalg.vector_norm(graph.edge_vectors, dim=1)  # (E,)
        harmonics = self.spherical_harmonics(graph.edge_vectors)  # (E, B)
        radial = self.radial_functions(lengths)  # (E, R)

        of_element = [self.embedding[:, None, :]]  # (Z, 1, C), the same for all atoms of an element
        features = [of_element[0].index_select(0, species)]
        for k, layer in enumerate(self.layers):
            if k == 0:
                sources = [source.index_select(0, everywhere) for source in layer.up(of_element)]
            else:
                up = layer.up(features)
                flat = exchange([source.flatten(1) for source in up], n_atoms)
                sources = [
                    source.view(n_atoms, own.size(1), own.size(2))
                    for own, source in zip(up, flat)  # noqa: B905
                ]
            features = layer(features, sources, harmonics, radial, first_edge, neighbor)
        energies = torch.mv(features[0][:, 0], self.readout) + self.offset
        return {"atomic_energies": pad_to_all(self.scale[species] * energies, n_atoms)}

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """There is no such head."""
        zero = torch.zeros_like(graph.edge_vectors[:1]).expand(graph.atomic_numbers.size(0), 3)
        return {"non_conservative_forces": zero}
