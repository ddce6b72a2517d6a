"""TensorNet: features that are matrices, with an energy head and heads for non-conservative forces and stress.

Simeon, De Fabritiis, NeurIPS 2023 (arXiv:2306.06482). An atom has C channels, each a matrix of three by three:
X = I + A + S, a multiple of the unit matrix, a skew and a symmetric traceless part. Here a matrix is nine numbers in a
basis of these parts, (n, 9, C), so a linear map is one for each part. The norm ||X|| = Tr(X^T X) of the paper has no
root, so the energy is smooth where features vanish. Entries of the basis are whole numbers: they are the same in
every precision.

What differs from the paper:

- The filters are linear in a Bessel basis that ends smoothly at the cutoff, so no layers are evaluated for each edge
  (:func:`mlip_engines.operators.tensor_product_sum`).
- The layer norms have a width, so they are smooth for an atom that loses its last neighbour.
- The heads: the skew parts are vectors and make forces, the other two make virials, both gated by the norms. After
  ``non_conservative_layer`` shared layers the heads go on through ``n_force_layers`` of their own.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mlip_engines.model.graph import Graph
from mlip_engines.operators import (
    composed_neighbor_sum,
    evaluated_atoms,
    exchange,
    pad_to_all,
    tensor_product_sum,
)
from mlip_train.networks.neighborhood import first_edges
from mlip_train.networks.plan import plan_heads
from mlip_train.networks.radial import BesselBasis
from mlip_train.networks.species import species_rows

PARTS = [0, 1, 1, 1, 2, 2, 2, 2, 2]  # I, A or S, of which each of the nine numbers is


def basis_of_matrices() -> Tensor:
    """Return (9, 9), whole numbers: the unit matrix, the skew ones of x, y, z, five symmetric traceless ones; flat."""
    basis = torch.zeros(9, 3, 3)
    basis[0] = torch.eye(3)
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        basis[1 + k, j, i], basis[1 + k, i, j] = 1.0, -1.0
        basis[4 + k, j, i], basis[4 + k, i, j] = 1.0, 1.0
    basis[7, 0, 0], basis[7, 1, 1] = 1.0, -1.0
    basis[8] = torch.diag(torch.tensor([1.0, 1.0, -2.0]))
    return basis.flatten(1)


def norms_of_parts(x: Tensor) -> Tensor:
    """Return Tr(I^T I), Tr(A^T A) and Tr(S^T S) (n, 3, C) of features (n, 9, C)."""
    squares = x * x
    scalar = 3.0 * squares[:, 0]
    skew = 2.0 * squares[:, 1:4].sum(dim=1)
    symmetric = 2.0 * squares[:, 4:8].sum(dim=1) + 6.0 * squares[:, 8]
    return torch.stack((scalar, skew, symmetric), dim=1)


def normalised(x: Tensor) -> Tensor:
    """Return X / (||X|| + 1) (n, 9, C)."""
    return x / (norms_of_parts(x).sum(dim=1, keepdim=True) + 1.0)


def filters_of_parts(n_basis: int, n_features: int) -> nn.Linear:
    """Return f of I, A and S, linear in the radial basis."""
    filters = nn.Linear(n_basis, 3 * n_features, bias=False)
    nn.init.normal_(filters.weight, std=n_basis**-0.5)
    return filters


def are_learned(filters: Tensor) -> bool:
    """Return whether filters are trained: sums over neighbours are then linear in the radial basis.

    Training takes derivatives of derivatives, for which products of matrices are several times faster than messages.
    """
    return filters.requires_grad and torch.is_grad_enabled()


def by_number(filters: Tensor, path: Tensor) -> Tensor:
    """Return filters (K, 9, C) of each of the nine numbers, from those of the three parts (3 C, K)."""
    by_part = filters.view(3, -1, filters.size(1)).permute(2, 0, 1)  # (K, 3, C)
    return by_part.index_select(1, path)


class Neighborhood(NamedTuple):
    """Edges as the sums over neighbours take them, by centre."""

    n_atoms: int  # N, of which the first n are evaluated here
    first_edge: Tensor  # (n + 1,) int64
    neighbor: Tensor  # (E,) int64
    radial: Tensor  # (E, K)
    matrices: Tensor  # (E, 9), 1 + skew(u) + u u - 1/3 of the direction u


class Edges(nn.Module):
    """Edge vectors to a neighbourhood."""

    def __init__(self, n_basis: int, cutoff: float):
        super().__init__()
        self.basis = BesselBasis(n_basis, cutoff)

    def forward(self, edge_index: Tensor, edge_vectors: Tensor, n_atoms: int) -> Neighborhood:
        """Return the neighbourhood for edges (2, E) and their vectors (E, 3)."""
        first_edge = first_edges(edge_index[0], evaluated_atoms(n_atoms))  # (n + 1,)
        distance = torch.linalg.vector_norm(edge_vectors, dim=1)  # (E,)
        unit = edge_vectors / distance[:, None]  # (E, 3)
        x, y, z = unit.unbind(1)
        numbers = [torch.ones_like(x), x, y, z, y * z, z * x, x * y]
        numbers += [(x * x - y * y) / 2.0, (x * x + y * y - 2.0 * z * z) / 6.0]
        return Neighborhood(
            n_atoms,
            first_edge,
            edge_index[1].contiguous(),
            self.basis(distance),
            torch.stack(numbers, dim=1),
        )


class PartwiseLinear(nn.Module):
    """One matrix (C, C) for each of the three parts: W_I, W_A, W_S of the paper."""

    def __init__(self, n_features: int):
        super().__init__()
        self.scalar = nn.Linear(n_features, n_features, bias=False)
        self.skew = nn.Linear(n_features, n_features, bias=False)
        self.symmetric = nn.Linear(n_features, n_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, 9, C) for (n, 9, C)."""
        parts = self.scalar(x[:, :1]), self.skew(x[:, 1:4]), self.symmetric(x[:, 4:])
        return torch.cat(parts, dim=1).to(x.dtype)


class MatrixProduct(nn.Module):
    """Products of matrices that are given by their numbers in the basis."""

    def __init__(self):
        super().__init__()
        self.register_buffer("basis", basis_of_matrices())

    def matrices(self, x: Tensor) -> Tensor:
        """Return matrices (n, 3, 3, C) from their numbers (n, 9, C)."""
        return torch.matmul(self.basis.t(), x).view(x.size(0), 3, 3, x.size(2))

    def numbers(self, matrices: Tensor) -> Tensor:
        """Return numbers (n, 9, C) of matrices (n, 3, 3, C)."""
        flat = matrices.view(matrices.size(0), 9, matrices.size(3))
        return torch.matmul(self.basis, flat) / (self.basis * self.basis).sum(dim=1)[:, None]

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return matrices (n, 3, 3, C) that are the products of two (n, 3, 3, C), channel by channel."""
        return (first[:, :, :, None] * second[:, None]).sum(dim=2)


class Embedding(nn.Module):
    """First features, from the elements at both ends of each edge (section 3.2 of the paper)."""

    def __init__(self, n_species: int, n_features: int, n_basis: int, norm_width: float):
        super().__init__()
        self.n_features = n_features
        self.elements = nn.Embedding(n_species, n_features)
        self.of_centre = nn.Linear(n_features, n_features)
        self.of_neighbor = nn.Linear(n_features, n_features, bias=False)
        self.filters = filters_of_parts(n_basis, n_features)
        self.norm = nn.LayerNorm(n_features, eps=norm_width)
        self.mix = PartwiseLinear(n_features)
        self.factors = nn.Sequential(
            nn.Linear(n_features, 2 * n_features),
            nn.SiLU(),
            nn.Linear(2 * n_features, 3 * n_features),
            nn.SiLU(),
        )
        nn.init.ones_(self.factors[2].bias)  # so that features are not small to begin with
        self.register_buffer("parts", torch.tensor(PARTS))
        # The matrix of the direction times one, then times what the neighbour says.
        coupling = torch.zeros(9, 18, 2)
        for k in range(9):
            coupling[k, k, 0] = coupling[k, 9 + k, 1] = 1.0
        self.register_buffer("coupling", coupling)
        self.register_buffer("path", torch.tensor(PARTS + PARTS))

    def _collected(self, sources: Tensor, edges: Neighborhood) -> Tensor:
        """Sum filters and matrices of the edges times sources (N, 2, C) over the neighbours (n, 2, 9, C)."""
        f = self.n_features
        if are_learned(self.filters.weight):
            shapes = edges.radial[:, :, None] * edges.matrices[:, None]  # (E, K, 9)
            sums = composed_neighbor_sum(
                shapes.flatten(1), sources.flatten(1), edges.first_edge, edges.neighbor
            )  # (n, K 9, 2 C)
            sums = sums.view(sums.size(0), -1, 9, 2, f)
            filters = by_number(self.filters.weight, self.parts)  # (K, 9, C)
            return (sums * filters[:, :, None]).sum(dim=1).transpose(1, 2)
        weights = self.filters(edges.radial).to(sources.dtype).view(-1, 3, f)  # (E, 3, C)
        collected = tensor_product_sum(
            sources,
            edges.matrices,
            weights,
            self.coupling,
            self.path,
            edges.first_edge,
            edges.neighbor,
        )
        return collected.view(-1, 2, 9, f)

    def forward(self, species: Tensor, edges: Neighborhood) -> Tensor:
        """Return features (n, 9, C), from the rows of the elements of all atoms (N,)."""
        n = edges.first_edge.size(0) - 1
        dtype = edges.radial.dtype
        said = self.of_neighbor(self.elements.weight).to(dtype)  # (Z, C)
        sources = torch.stack((torch.ones_like(said), said), dim=1)  # (Z, 2, C)
        sources = sources.index_select(0, species)  # (N, 2, C)
        collected = self._collected(sources, edges)  # (n, 2, 9, C)
        own = self.of_centre(self.elements(species[:n])).to(dtype)  # (n, C)
        x = collected[:, 0] * own[:, None] + collected[:, 1]
        factors = self.factors(self.norm(norms_of_parts(x).sum(dim=1))).to(dtype)
        factors = factors.view(-1, 3, self.n_features)  # (n, 3, C)
        return self.mix(x) * factors.index_select(1, self.parts)


class Interaction(nn.Module):
    """Matrices of the neighbours, multiplied with the own one from both sides (section 3.3 of the paper)."""

    def __init__(self, n_features: int, n_basis: int):
        super().__init__()
        self.n_features = n_features
        self.filters = filters_of_parts(n_basis, n_features)
        self.before = PartwiseLinear(n_features)
        self.after = PartwiseLinear(n_features)
        self.product = MatrixProduct()
        self.register_buffer("coupling", torch.eye(9)[None])
        self.register_buffer("path", torch.tensor(PARTS))

    def _collected(self, sources: Tensor, edges: Neighborhood) -> Tensor:
        """Sum filters of the edges times features (N, 9, C) over the neighbours (n, 9, C)."""
        if are_learned(self.filters.weight):
            sums = composed_neighbor_sum(
                edges.radial, sources.flatten(1), edges.first_edge, edges.neighbor
            )  # (n, K, 9 C)
            sums = sums.view(sums.size(0), -1, 9, self.n_features)
            return (sums * by_number(self.filters.weight, self.path)).sum(dim=1)
        weights = self.filters(edges.radial).to(sources.dtype).view(-1, 3, self.n_features)
        one = torch.ones_like(edges.radial[:, :1])
        return tensor_product_sum(
            sources, one, weights, self.coupling, self.path, edges.first_edge, edges.neighbor
        )

    def forward(self, x: Tensor, edges: Neighborhood) -> Tensor:
        """Return features (n, 9, C) from features (n, 9, C)."""
        x = normalised(x)
        y = self.before(x)
        sources = exchange([y.flatten(1)], edges.n_atoms)[0].view(-1, 9, self.n_features)
        message = self._collected(sources, edges)  # (n, 9, C)
        own, others = self.product.matrices(y), self.product.matrices(message)
        # Both orders together: mirror images have the same energy.
        both = self.product.numbers(self.product(own, others) + self.product(others, own))
        change = self.after(normalised(both))
        matrix = self.product.matrices(change)
        return x + change + self.product.numbers(self.product(matrix, matrix))


class PartHead(nn.Module):
    """Some of the nine numbers of a matrix, from features that are gated by their norms.

    Parameters
    ----------
    n_features : int
    numbers : list of int
        Which of the nine.
    norm_width : float
    """

    def __init__(self, n_features: int, numbers: list[int], norm_width: float):
        super().__init__()
        self.n_features = n_features
        self.gates = nn.Sequential(
            nn.LayerNorm(3 * n_features, eps=norm_width),
            nn.Linear(3 * n_features, n_features),
            nn.SiLU(),
            nn.Linear(n_features, 3 * n_features),
        )
        self.register_buffer("numbers", torch.tensor(numbers))
        self.register_buffer("parts", torch.tensor(PARTS)[numbers])

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, numbers) from features (n, 9, C)."""
        gates = self.gates(norms_of_parts(x).flatten(1)).to(x.dtype).view(-1, 3, self.n_features)
        return (gates.index_select(1, self.parts) * x.index_select(1, self.numbers)).sum(dim=2)


class StressHead(nn.Module):
    """Atomic virials from the symmetric parts of the features."""

    def __init__(self, n_features: int, norm_width: float):
        super().__init__()
        self.symmetric = PartHead(n_features, [0, 4, 5, 6, 7, 8], norm_width)
        self.register_buffer("basis", basis_of_matrices()[[0, 4, 5, 6, 7, 8]])

    def forward(self, x: Tensor) -> Tensor:
        """Return virials (n, 3, 3) from features (n, 9, C)."""
        return torch.matmul(self.symmetric(x), self.basis).view(-1, 3, 3)


class TensorNet(nn.Module):
    """Atomic energies and non-conservative forces; see :mod:`mlip_engines.model.contract`.

    Parameters
    ----------
    species : list of int
        Atomic numbers that the network knows.
    cutoff : float, Å
    n_features : int
        Channels C.
    n_basis : int
        Radial functions.
    n_layers : int
        Interactions up to the energy. The embedding looks at the neighbours too, so the energy sees one edge more.
    non_conservative_layer : int
        Interactions shared by both heads, at most ``n_layers``; 0 for no non-conservative head.
    n_force_layers : int
        Further interactions of the non-conservative heads alone.
    non_conservative_stress : bool
        Whether there is a head for stress too. It reads the features of the force head and costs next to nothing.
    norm_width : float
        Variance of the squared norms of features below which a layer norm is linear.

    Raises
    ------
    ValueError
        If the numbers of layers do not fit each other, or stress is asked for without a force head.
    """

    heads: list[str]
    feature_exchange = True

    def __init__(
        self,
        species: list[int],
        cutoff: float = 4.5,
        n_features: int = 32,
        n_basis: int = 12,
        n_layers: int = 2,
        non_conservative_layer: int = 1,
        n_force_layers: int = 0,
        non_conservative_stress: bool = False,
        norm_width: float = 0.01,
    ):
        super().__init__()
        if n_force_layers < 0:
            raise ValueError(f"expected 0 <= {n_force_layers=}")
        if not norm_width > 0.0:
            raise ValueError(f"expected {norm_width=} > 0: at 0 an atom alone has no layer norm")
        plan = plan_heads(
            n_layers,
            non_conservative_layer,
            stress=non_conservative_stress,
            further_layers=n_force_layers,
        )
        self.cutoff = float(cutoff)
        self.heads = plan.heads
        self.has_non_conservative = plan.non_conservative_layers > 0
        self.message_passing_layers = plan.message_passing_layers + 1  # and the embedding
        self.non_conservative_layers = 0
        if self.has_non_conservative:
            self.non_conservative_layers = plan.non_conservative_layers + 1
        self.register_buffer("species_index", species_rows(species))
        self.edges = Edges(n_basis, cutoff)
        self.embedding = Embedding(len(species), n_features, n_basis, norm_width)

        def layers(count: int) -> nn.ModuleList:
            return nn.ModuleList([Interaction(n_features, n_basis) for _ in range(count)])

        self.shared = layers(plan.n_shared)
        self.energy_layers = layers(n_layers - plan.n_shared)
        self.energy_head = nn.Sequential(
            nn.LayerNorm(3 * n_features, eps=norm_width),
            nn.Linear(3 * n_features, n_features),
            nn.SiLU(),
            nn.Linear(n_features, n_features),
            nn.SiLU(),
            nn.Linear(n_features, 1),
        )
        self.force_layers = layers(n_force_layers if self.has_non_conservative else 0)
        self.force_head = PartHead(n_features, [1, 2, 3], norm_width)
        self.stress_head = StressHead(n_features, norm_width) if non_conservative_stress else None

    def _features(self, graph: Graph) -> tuple[Tensor, Neighborhood]:
        edges = self.edges(graph.edge_index, graph.edge_vectors, graph.atomic_numbers.size(0))
        x = self.embedding(self.species_index[graph.atomic_numbers], edges)  # (n, 9, C)
        for layer in self.shared:
            x = layer(x, edges)
        return x, edges

    def _heads(self, x: Tensor, edges: Neighborhood) -> dict[str, Tensor]:
        """Run what is not conservative: forces (N, 3) and, with its head, virials (N, 3, 3)."""
        for layer in self.force_layers:
            x = layer(x, edges)
        output = {"non_conservative_forces": pad_to_all(self.force_head(x), edges.n_atoms)}
        if self.stress_head is not None:
            output["non_conservative_virials"] = pad_to_all(self.stress_head(x), edges.n_atoms)
        return output

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,) and, if asked, non-conservative forces (N, 3) and virials (N, 3, 3)."""
        x, edges = self._features(graph)
        output: dict[str, Tensor] = {}
        if with_non_conservative and self.has_non_conservative:
            if self.training:
                output = self._heads(x, edges)
            else:  # an engine differentiates the energy only: keep this branch off its graph
                constant = Neighborhood(
                    edges.n_atoms,
                    edges.first_edge,
                    edges.neighbor,
                    edges.radial.detach(),
                    edges.matrices.detach(),
                )
                output = self._heads(x.detach(), constant)
        for layer in self.energy_layers:
            x = layer(x, edges)
        energies = self.energy_head(norms_of_parts(x).flatten(1)).flatten()  # (n,)
        output["atomic_energies"] = pad_to_all(energies, edges.n_atoms)  # (N,)
        return output

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate non-conservative forces (N, 3), and virials (N, 3, 3) with their head, only."""
        x, edges = self._features(graph)
        return self._heads(x, edges)
