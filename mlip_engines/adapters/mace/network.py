"""The network of MACE, of its own weights, as the contract wants it.

Batatia et al., NeurIPS 2022 (arXiv:2206.07697). Equations and their numbers are of this paper. The evaluation differs
from that of mace-torch in its layout (channels last), and in three places where it saves time: elements are indices,
not one-hot vectors; the tensor products are summed over neighbours as they are made; and the symmetric contraction is
evaluated as a polynomial of those products that are not zero.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlip_engines.adapters.mace.linear import Irrep, Linear, LinearOfSpecies
from mlip_engines.model.graph import Graph
from mlip_engines.operators import (
    evaluated_atoms,
    exchange,
    pad_to_all,
    polynomial,
    tensor_product_sum,
)


class Interaction(nn.Module):
    """The A-features of one layer: what an atom collects from its neighbours (eqs. 8 and 9).

    Parameters
    ----------
    up, down : Linear
        Before and after the sum over neighbours.
    radial : nn.Module
        Radial functions (E, R) to the weights of all paths (E, P C).
    coupling : (B, K, A) tensor
    path : (K,) int64 tensor
        As in :func:`mlip_engines.operators.tensor_product_sum`.
    density : nn.Module, optional
        Radial functions to what a neighbour adds to the density of an atom. The message is divided by that plus 1, or
        else by ``n_neighbors``.
    n_neighbors : float
    skip_before, skip_after : LinearOfSpecies, optional
        The residual connection, from what goes into the layer; and what acts on the message.
    """

    def __init__(
        self,
        up: Linear,
        down: Linear,
        radial: nn.Module,
        coupling: Tensor,
        path: Tensor,
        density: nn.Module | None,
        n_neighbors: float,
        skip_before: LinearOfSpecies | None,
        skip_after: LinearOfSpecies | None,
    ):
        super().__init__()
        self.up, self.down, self.radial, self.density = up, down, radial, density
        self.register_buffer("coupling", coupling)
        self.register_buffer("path", path)
        self.n_paths = int(path.max()) + 1
        self.n_neighbors = float(n_neighbors)
        self.skip_before, self.skip_after = skip_before, skip_after

    def residual(self, features: Tensor, species: Tensor) -> Tensor | None:
        """Return what goes around the layer, (n, K', C), if anything does."""
        if self.skip_before is not None:
            return self.skip_before(features, species)
        return None

    def forward(
        self,
        sources: Tensor,
        species: Tensor,
        harmonics: Tensor,
        radial: Tensor,
        fade: Tensor | None,
        first_edge: Tensor,
        neighbor: Tensor,
    ) -> Tensor:
        """Return messages (n, K, C) from sources (N, A, C) of all atoms."""
        weights = self.radial(radial)  # (E, P C)
        if fade is not None:
            weights = weights * fade
        weights = weights.view(weights.size(0), self.n_paths, sources.size(2))
        messages = tensor_product_sum(
            sources, harmonics, weights, self.coupling, self.path, first_edge, neighbor
        )
        messages = self.down(messages)
        if self.density is not None:
            density = torch.tanh(self.density(radial) ** 2)  # (E, 1)
            if fade is not None:
                density = density * fade
            centre = torch.repeat_interleave(first_edge[1:] - first_edge[:-1])
            n = first_edge.size(0) - 1
            zero = torch.zeros((n, 1), dtype=density.dtype, device=density.device)
            messages = messages / (zero.index_add(0, centre, density) + 1.0)[:, :, None]
        else:
            messages = messages / self.n_neighbors
        if self.skip_after is not None:
            messages = self.skip_after(messages, species)
        return messages


class Product(nn.Module):
    """The B-features of one layer: products of A-features of one atom, and its update (eqs. 10 and 11).

    Parameters
    ----------
    coefficients, factors, output
        As in :func:`mlip_engines.operators.polynomial`.
    size : int
        Components of the result.
    is_agnostic : bool
        Whether there is one set of coefficients for all elements.
    linear : Linear
        What acts on the products.
    """

    def __init__(
        self,
        coefficients: Tensor,
        factors: Tensor,
        output: Tensor,
        size: int,
        is_agnostic: bool,
        linear: Linear,
    ):
        super().__init__()
        self.register_buffer("coefficients", coefficients)
        self.register_buffer("factors", factors)
        self.register_buffer("output", output)
        self.size, self.is_agnostic, self.linear = size, is_agnostic, linear

    def forward(self, messages: Tensor, species: Tensor, residual: Tensor | None) -> Tensor:
        """Return features (n, O, C) from messages (n, K, C)."""
        if self.is_agnostic:
            species = torch.zeros_like(species)
        products = polynomial(
            messages, species, self.coefficients, self.factors, self.output, self.size
        )
        features = self.linear(products)
        if residual is None:
            return features
        missing = features.size(1) - residual.size(1)
        return features + functional.pad(residual, [0, 0, 0, missing])


class Readout(nn.Module):
    """Features to one number per atom, by a module of mace-torch that wants its layout.

    Parameters
    ----------
    module : nn.Module
        Takes features (n, sum of (2 l + 1) C) and the heads (n,), returns (n, heads).
    irreps : list of Irrep
        Of the features, one copy of each.
    head : int
    """

    sizes: list[int]

    def __init__(self, module: nn.Module, irreps: list[Irrep], head: int):
        super().__init__()
        self.module, self.head = module, head
        self.sizes = [irrep.n_components for irrep in irreps]

    def forward(self, features: Tensor) -> Tensor:
        """Return (n,) from features (n, K, C)."""
        n, start = features.size(0), 0
        flat: list[Tensor] = []
        for size in self.sizes:  # (n, C, 2 l + 1): channels first, there
            flat.append(features.narrow(1, start, size).transpose(1, 2).reshape(n, -1))
            start += size
        heads = torch.full((n,), self.head, dtype=torch.int64, device=features.device)
        return self.module(torch.cat(flat, dim=1), heads)[:, self.head]


class MaceNetwork(nn.Module):
    """Atomic energies by MACE; follows :mod:`mlip_engines.model.contract`.

    Parameters
    ----------
    cutoff : float, Å
    numbers : list of int
        Atomic numbers, in the order of all tables.
    embedding : (Z, C) tensor
        Features of each element before the first layer.
    spherical_harmonics, radial_embedding : nn.Module
        Of mace-torch.
    repulsion : nn.Module, optional
        Pair repulsion, of mace-torch.
    interactions : list of Interaction
    products : list of Product
    readouts : list of (int, Readout)
        With the layer whose features each of them reads.
    scale : float
        Factor on everything but the energies of free atoms.
    """

    heads: list[str]
    layer_of_readout: list[int]
    feature_exchange = True

    def __init__(
        self,
        cutoff: float,
        numbers: list[int],
        embedding: Tensor,
        spherical_harmonics: nn.Module,
        radial_embedding: nn.Module,
        repulsion: nn.Module | None,
        interactions: list[Interaction],
        products: list[Product],
        readouts: list[tuple[int, Readout]],
        scale: float,
    ):
        super().__init__()
        self.cutoff = float(cutoff)
        self.message_passing_layers = len(interactions)
        self.heads = ["energy"]
        index = torch.full((119,), -1, dtype=torch.int64)
        index[torch.tensor(numbers)] = torch.arange(len(numbers))
        self.register_buffer("species_index", index)
        self.register_buffer("numbers", torch.tensor(numbers))
        self.register_buffer("embedding", embedding)
        self.spherical_harmonics = spherical_harmonics
        self.radial_embedding = radial_embedding
        self.repulsion = repulsion
        self.interactions = nn.ModuleList(interactions)
        self.products = nn.ModuleList(products)
        self.layer_of_readout = [layer for layer, _ in readouts]
        self.readouts = nn.ModuleList([readout for _, readout in readouts])
        self.scale = float(scale)

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,)."""
        n_atoms = graph.atomic_numbers.size(0)
        n = evaluated_atoms(n_atoms)
        everywhere = self.species_index[graph.atomic_numbers]  # (N,)
        species = everywhere[:n]
        centre, neighbor = graph.edge_index[0], graph.edge_index[1].contiguous()
        first_edge = functional.pad(torch.cumsum(torch.bincount(centre, minlength=n), 0), [1, 0])
        vectors = -graph.edge_vectors  # from the neighbour, as MACE has it
        lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)  # (E, 1)
        harmonics = self.spherical_harmonics(vectors)  # (E, B)
        one_hot = functional.one_hot(everywhere, self.numbers.size(0)).to(vectors.dtype)
        backward = torch.stack((neighbor, centre))
        radial, fade = self.radial_embedding(lengths, one_hot, backward, self.numbers)  # (E, R)

        of_element = self.embedding[:, None, :]  # (Z, 1, C), the same for all atoms of an element
        elements = torch.arange(self.numbers.size(0), device=species.device)
        features = of_element.index_select(0, species)  # (n, 1, C)
        energies = torch.zeros(n, dtype=vectors.dtype, device=vectors.device)
        for layer, (interaction, product) in enumerate(
            zip(self.interactions, self.products)  # noqa: B905  TorchScript knows no strict
        ):
            if layer == 0:
                sources = interaction.up(of_element).index_select(0, everywhere)  # (N, 1, C)
                residual = interaction.residual(of_element, elements)
                if residual is not None:
                    residual = residual.index_select(0, species)
            else:
                up = interaction.up(features)  # (n, A, C)
                size = up.size(1)
                sources = exchange([up.flatten(1)], n_atoms)[0].view(n_atoms, size, -1)
                residual = interaction.residual(features, species)
            messages = interaction(sources, species, harmonics, radial, fade, first_edge, neighbor)
            features = product(messages, species, residual)
            for k, readout in enumerate(self.readouts):
                if self.layer_of_readout[k] == layer:
                    energies = energies + readout(features)
        if self.repulsion is not None:
            energies = energies + self.repulsion(lengths, one_hot, backward, self.numbers)[:n]
        return {"atomic_energies": pad_to_all(self.scale * energies, n_atoms)}

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """There is no such head."""
        zero = torch.zeros_like(graph.edge_vectors[:1]).expand(graph.atomic_numbers.size(0), 3)
        return {"non_conservative_forces": zero}
