"""TensorNet with weights of its own, as the contract wants it.

Simeon, De Fabritiis, NeurIPS 2023 (arXiv:2306.06482), in the form of matgl. An atom has C channels, each a matrix of
three by three: a multiple of the unit matrix, a skew and a symmetric traceless part. Here a matrix is nine numbers in
an orthonormal basis of these parts, (n, 9, C): a linear map is one for each part, and the norm of a matrix is that of
its numbers. Sums over neighbours are made by :func:`mlip_engines.operators.tensor_product_sum`, without a matrix for
each edge.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlip_engines.model.graph import Graph
from mlip_engines.operators import evaluated_atoms, exchange, pad_to_all, tensor_product_sum


def basis_of_matrices() -> Tensor:
    """Return (9, 9): the unit matrix, three skew and five symmetric traceless ones, orthonormal, each flat."""
    basis = torch.zeros(9, 3, 3, dtype=torch.float64)
    basis[0] = torch.eye(3, dtype=torch.float64) / 3.0**0.5
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        basis[1 + k, j, i], basis[1 + k, i, j] = 0.5**0.5, -(0.5**0.5)
        basis[4 + k, j, i], basis[4 + k, i, j] = 0.5**0.5, 0.5**0.5
    basis[7, 0, 0], basis[7, 1, 1] = 0.5**0.5, -(0.5**0.5)
    basis[8] = torch.diag(torch.tensor([1.0, 1.0, -2.0], dtype=torch.float64)) / 6.0**0.5
    return basis.flatten(1)


PARTS = [0, 1, 1, 1, 2, 2, 2, 2, 2]  # of which each number is


class PartwiseLinear(nn.Module):
    """One matrix (C, C) for each of the three parts."""

    def __init__(self, scalar: nn.Linear, skew: nn.Linear, symmetric: nn.Linear):
        super().__init__()
        self.scalar, self.skew, self.symmetric = scalar, skew, symmetric

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, 9, C) for (n, 9, C)."""
        return torch.cat(
            (
                self.scalar(x.narrow(1, 0, 1)),
                self.skew(x.narrow(1, 1, 3)),
                self.symmetric(x.narrow(1, 4, 5)),
            ),
            dim=1,
        )


class MatrixProduct(nn.Module):
    """Products of matrices that are given by their numbers in the basis."""

    def __init__(self):
        super().__init__()
        self.register_buffer("basis", basis_of_matrices())

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return (n, 9, C) for two (n, 9, C), channel by channel."""
        n, channels = first.size(0), first.size(2)
        a = torch.matmul(self.basis.t(), first).view(n, 3, 3, 1, channels)  # (n, i, j, 1, C)
        b = torch.matmul(self.basis.t(), second).view(n, 1, 3, 3, channels)  # (n, 1, j, k, C)
        product = (a * b).sum(dim=2)  # (n, i, k, C)
        return torch.matmul(self.basis, product.view(n, 9, channels))


class Edges(nn.Module):
    """What is known of the edges: radial functions, fading, and the matrix of a direction."""

    def __init__(self, radial: nn.Module, cutoff: float):
        super().__init__()
        self.radial, self.cutoff = radial, float(cutoff)
        self.register_buffer("basis", basis_of_matrices())

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return radial functions (E, R), what fades them (E, 1), and 1 + skew(u) + u u - 1/3 in the basis (E, 9)."""
        lengths = torch.linalg.vector_norm(vectors, dim=1)  # (E,)
        fade = 0.5 * (torch.cos(torch.pi * lengths / self.cutoff) + 1.0)
        fade = torch.where(lengths <= self.cutoff, fade, torch.zeros_like(fade))
        unit = vectors / lengths[:, None].clamp(min=1e-6)
        x, y, z = unit.unbind(1)
        zero = torch.zeros_like(x)
        skew = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=1)  # (E, 9)
        one = torch.eye(3, dtype=unit.dtype, device=unit.device).flatten()
        matrix = (unit[:, :, None] * unit[:, None, :]).flatten(1) + skew + (2.0 / 3.0) * one
        return self.radial(lengths), fade[:, None], torch.matmul(matrix, self.basis.t())


class Embedding(nn.Module):
    """First features, from the elements at both ends of each edge.

    Parameters
    ----------
    elements : (Z, C) tensor
    of_centre, of_neighbor : nn.Linear
        What the two elements of an edge say together is the sum.
    radial : nn.Linear
        R to 3 C, part by part.
    norm : nn.Module
    mix : PartwiseLinear
    factors : nn.Module
        C to 3 C, part by part.
    """

    def __init__(
        self,
        elements: Tensor,
        of_centre: nn.Linear,
        of_neighbor: nn.Linear,
        radial: nn.Linear,
        norm: nn.Module,
        mix: PartwiseLinear,
        factors: nn.Module,
    ):
        super().__init__()
        self.register_buffer("elements", elements)
        self.of_centre, self.of_neighbor = of_centre, of_neighbor
        self.radial, self.norm, self.mix, self.factors = radial, norm, mix, factors
        self.register_buffer("parts", torch.tensor(PARTS))
        # what of the direction times one, then times what the neighbour says
        coupling = torch.zeros(9, 18, 2, dtype=elements.dtype)
        for k in range(9):
            coupling[k, k, 0] = coupling[k, 9 + k, 1] = 1.0
        self.register_buffer("coupling", coupling)
        self.register_buffer("path", torch.tensor(PARTS + PARTS))

    def forward(
        self,
        species: Tensor,
        radial: Tensor,
        fade: Tensor,
        harmonics: Tensor,
        first_edge: Tensor,
        neighbor: Tensor,
    ) -> Tensor:
        """Return features (n, 9, C), from the elements of all atoms (N,)."""
        channels = self.elements.size(1)
        weights = (self.radial(radial) * fade).view(-1, 3, channels)  # (E, 3, C)
        said = self.of_neighbor(self.elements)  # (Z, C)
        sources = torch.stack((torch.ones_like(said), said), dim=1).index_select(0, species)
        collected = tensor_product_sum(
            sources, harmonics, weights, self.coupling, self.path, first_edge, neighbor
        )  # (n, 18, C)
        own = self.of_centre(self.elements).index_select(0, species[: first_edge.size(0) - 1])
        x = collected.narrow(1, 0, 9) * own[:, None] + collected.narrow(1, 9, 9)
        factors = self.factors(self.norm((x * x).sum(dim=1))).view(-1, 3, channels)
        return self.mix(x) * factors.index_select(1, self.parts)


class Interaction(nn.Module):
    """One layer: matrices of the neighbours, multiplied with the own one.

    Parameters
    ----------
    radial : nn.Module
        R to 3 C, part by part.
    before, after : PartwiseLinear
    is_mirrored : bool
        Whether the product is made symmetric, so that mirror images have the same energy (O(3)).
    """

    def __init__(
        self, radial: nn.Module, before: PartwiseLinear, after: PartwiseLinear, is_mirrored: bool
    ):
        super().__init__()
        self.radial, self.before, self.after = radial, before, after
        self.is_mirrored = is_mirrored
        self.product = MatrixProduct()
        coupling = torch.eye(9, dtype=before.scalar.weight.dtype)[None]
        self.register_buffer("coupling", coupling)
        self.register_buffer("path", torch.tensor(PARTS))

    def forward(
        self,
        x: Tensor,
        radial: Tensor,
        fade: Tensor,
        first_edge: Tensor,
        neighbor: Tensor,
        n_atoms: int,
    ) -> Tensor:
        """Return features (n, 9, C) from features (n, 9, C)."""
        n, channels = x.size(0), x.size(2)
        weights = (self.radial(radial) * fade).view(-1, 3, channels)  # (E, 3, C)
        x = x / ((x * x).sum(dim=1, keepdim=True) + 1.0)
        y = self.before(x)
        sources = exchange([y.flatten(1)], n_atoms)[0].view(n_atoms, 9, channels)
        one = torch.ones_like(fade)  # (E, 1)
        message = tensor_product_sum(
            sources, one, weights, self.coupling, self.path, first_edge, neighbor
        )
        message = message.view(n, 9, channels)
        product = self.product(y, message)
        product = product + (self.product(message, y) if self.is_mirrored else product)
        product = product / ((product * product).sum(dim=1, keepdim=True) + 1.0)
        change = self.after(product)
        return x + change + self.product(change, change)


class TensorNetwork(nn.Module):
    """Atomic energies by TensorNet; follows :mod:`mlip_engines.model.contract`.

    Parameters
    ----------
    numbers : list of int
        Atomic numbers, in the order of the embedding.
    edges : Edges
    embedding : Embedding
    layers : list of Interaction
    readout : nn.Module
        Squared norms of the three parts (n, 3 C) to the energy.
    """

    heads: list[str]
    feature_exchange = True

    def __init__(
        self,
        numbers: list[int],
        edges: Edges,
        embedding: Embedding,
        layers: list[Interaction],
        readout: nn.Module,
    ):
        super().__init__()
        self.cutoff = edges.cutoff
        self.message_passing_layers = len(layers) + 1
        self.heads = ["energy"]
        index = torch.full((119,), -1, dtype=torch.int64)
        index[torch.tensor(numbers)] = torch.arange(len(numbers))
        self.register_buffer("species_index", index)
        self.edges, self.embedding = edges, embedding
        self.layers, self.readout = nn.ModuleList(layers), readout

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,)."""
        n_atoms = graph.atomic_numbers.size(0)
        n = evaluated_atoms(n_atoms)
        centre, neighbor = graph.edge_index[0], graph.edge_index[1].contiguous()
        first_edge = functional.pad(torch.cumsum(torch.bincount(centre, minlength=n), 0), [1, 0])
        radial, fade, harmonics = self.edges(graph.edge_vectors)
        species = self.species_index[graph.atomic_numbers]  # (N,)
        x = self.embedding(species, radial, fade, harmonics, first_edge, neighbor)
        for layer in self.layers:
            x = layer(x, radial, fade, first_edge, neighbor, n_atoms)
        squares = x * x
        norms = (squares[:, 0], squares[:, 1:4].sum(dim=1), squares[:, 4:].sum(dim=1))
        energies = self.readout(torch.cat(norms, dim=1)).flatten()
        return {"atomic_energies": pad_to_all(energies, n_atoms)}

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """There is no such head."""
        zero = torch.zeros_like(graph.edge_vectors[:1]).expand(graph.atomic_numbers.size(0), 3)
        return {"non_conservative_forces": zero}
