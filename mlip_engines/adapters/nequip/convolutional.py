"""The network of NequIP, of its own weights, as the contract wants it: features travel between processes.

Batzner et al., Nature Commun. 13, 2453 (2022); Tan et al., arXiv:2504.16068 (2025). The parts that SevenNet shares are
in :mod:`mlip_engines.adapters.sevennet.network`, and so is the layout: one tensor (atoms, components, channels) per
irrep. Here are those in which NequIP differs: radial functions with a cutoff for each pair of elements, a residual
connection by a matrix of the element, a norm of the element, and a pair potential.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlip_engines.adapters.sevennet.network import Convolution, Gate, Linear
from mlip_engines.model.graph import Graph
from mlip_engines.operators import evaluated_atoms, exchange, pad_to_all


class RadialFunctions(nn.Module):
    """Bessel functions of a distance, times a polynomial that fades at the cutoff.

    Parameters
    ----------
    roots : (R,) tensor
        Half-waves of each function inside the cutoff.
    reach : (Z, Z) tensor
        Cutoff of each pair of elements (centre, neighbour), Å.
    exponent : float
        Of the polynomial (Gasteiger et al., arXiv:2003.03123, eq. 8).
    factor : float
        On all functions.
    """

    def __init__(self, roots: Tensor, reach: Tensor, exponent: float, factor: float):
        super().__init__()
        self.register_buffer("roots", roots)
        self.register_buffer("reach", reach)
        self.exponent, self.factor = float(exponent), float(factor)

    def relative(self, lengths: Tensor, centre: Tensor, neighbor: Tensor) -> Tensor:
        """Return lengths (E,) over the cutoff between two elements, given by indices (E,)."""
        pair = centre * self.reach.size(1) + neighbor
        return lengths / self.reach.flatten().index_select(0, pair)

    def forward(self, x: Tensor) -> Tensor:
        """Return (E, R) for relative lengths (E,)."""
        p = self.exponent
        fade = (
            1.0
            - (p + 1.0) * (p + 2.0) / 2.0 * torch.pow(x, p)
            + p * (p + 2.0) * torch.pow(x, p + 1.0)
            - p * (p + 1.0) / 2.0 * torch.pow(x, p + 2.0)
        )
        fade = self.factor * torch.where(x < 1.0, fade, torch.zeros_like(fade))
        return torch.sinc(x[:, None] * self.roots) * self.roots * fade[:, None]


class LinearOfElements(nn.Module):
    """Mix the channels of features by matrices of the atom's element.

    Parameters
    ----------
    sources : list of list of int
        For each tensor that comes out, those that go in; none gives zeros.
    matrices : list of (Z, sum of the sources' channels, C) tensors
    components : list of int
        Of each tensor that comes out.
    """

    sources: list[list[int]]
    components: list[int]

    def __init__(self, sources: list[list[int]], matrices: list[Tensor], components: list[int]):
        super().__init__()
        self.sources, self.components = sources, components
        self.matrices = nn.ParameterList([nn.Parameter(m, requires_grad=False) for m in matrices])

    def forward(self, features: list[Tensor], order: Tensor, counts: list[int]) -> list[Tensor]:
        """Return a list of (n, 2 l + 1, C) tensors from another.

        Parameters
        ----------
        order : (n,) int64 tensor
            Atoms, those of one element after those of another.
        counts : list of int
            Atoms of each element.
        """
        back = torch.argsort(order)
        mixed: list[Tensor] = []
        for k, matrix in enumerate(self.matrices):
            parts = [features[source] for source in self.sources[k]]
            if len(parts) == 0:
                first = features[0]
                size = (first.size(0), self.components[k], matrix.size(2))
                mixed.append(torch.zeros(size, dtype=first.dtype, device=first.device))
            else:
                together = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
                together = together.index_select(0, order)
                rows: list[Tensor] = []
                start = 0
                for z, count in enumerate(counts):
                    if count > 0 or z == 0:  # one at least, also where there are no atoms
                        rows.append(torch.matmul(together.narrow(0, start, count), matrix[z]))
                        start += count
                mixed.append(torch.cat(rows).index_select(0, back))
        return mixed


class ElementLayer(nn.Module):
    """One layer of message passing.

    Parameters
    ----------
    up, down : Linear
        Before and after the sum over neighbours.
    norm : (Z,) tensor
        Factor on what an atom of each element sends; empty where ``up`` has it already.
    around : LinearOfElements
        The residual connection.
    has_around : bool
        Whether there is one.
    convolution : Convolution
    gate : Gate
    """

    def __init__(
        self,
        up: Linear,
        norm: Tensor,
        convolution: Convolution,
        down: Linear,
        around: LinearOfElements,
        gate: Gate,
        *,
        has_around: bool,
    ):
        super().__init__()
        self.up, self.convolution, self.down = up, convolution, down
        self.around, self.gate, self.has_around = around, gate, has_around
        self.register_buffer("norm", norm)

    def sent(self, features: list[Tensor], species: Tensor) -> list[Tensor]:
        """Return what atoms of these elements send to their neighbours, from their features."""
        up = self.up(features)
        if self.norm.size(0) > 0:
            factor = self.norm[species][:, None, None]
            up = [source * factor for source in up]
        return up

    def forward(
        self,
        features: list[Tensor],
        sources: list[Tensor],
        harmonics: Tensor,
        radial: Tensor,
        first_edge: Tensor,
        neighbor: Tensor,
        order: Tensor,
        counts: list[int],
    ) -> list[Tensor]:
        """Return the features of n atoms from theirs and what all atoms send."""
        new = self.down(self.convolution(sources, harmonics, radial, first_edge, neighbor))
        if self.has_around:
            old = self.around(features, order, counts)
            new = [a + b for a, b in zip(new, old)]  # noqa: B905  TorchScript
        return self.gate(new)


class NoPairs(nn.Module):
    """Stands where there is no pair potential."""

    def forward(self, data: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what goes in."""
        return data


class ElementConvolutions(nn.Module):
    """Atomic energies by equivariant convolutions; follows :mod:`mlip_engines.model.contract`.

    Parameters
    ----------
    cutoff : float, Å
        The longest.
    numbers : list of int
        Atomic numbers, in the order of all tables.
    embedding : (Z, C) tensor
        Features of each element before the first layer.
    spherical_harmonics : nn.Module
        Vectors (E, 3) to (E, B).
    radial_functions : RadialFunctions
    layers : list of ElementLayer
    readout : nn.Module
        Scalars (n, C) of the last layer to energies (n, 1).
    scale : (Z,) tensor
        Factor on the energy of each element.
    pairs : nn.Module
        A pair potential: NequIP's dictionary with the edges to one with ``atomic_energy`` (N, 1).
    pair_types : list of int
        Which type of the pair potential each element is.
    has_pairs : bool
        Whether there is a pair potential.
    """

    heads: list[str]
    feature_exchange = True

    def __init__(
        self,
        cutoff: float,
        numbers: list[int],
        embedding: Tensor,
        spherical_harmonics: nn.Module,
        radial_functions: RadialFunctions,
        layers: list[ElementLayer],
        readout: nn.Module,
        scale: Tensor,
        pairs: nn.Module,
        pair_types: list[int],
        *,
        has_pairs: bool,
    ):
        super().__init__()
        self.cutoff, self.message_passing_layers = float(cutoff), len(layers)
        self.heads = ["energy"]
        index = torch.full((119,), -1, dtype=torch.int64)
        index[torch.tensor(numbers)] = torch.arange(len(numbers))
        self.register_buffer("species_index", index)
        self.register_buffer("embedding", embedding)
        self.register_buffer("scale", scale)
        self.register_buffer("pair_types", torch.tensor(pair_types))
        self.spherical_harmonics, self.radial_functions = spherical_harmonics, radial_functions
        self.layers = nn.ModuleList(layers)
        self.readout, self.pairs, self.has_pairs = readout, pairs, has_pairs

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,)."""
        n_atoms = graph.atomic_numbers.size(0)
        n = evaluated_atoms(n_atoms)
        everywhere = self.species_index[graph.atomic_numbers]  # (N,)
        species = everywhere[:n]
        n_species = self.embedding.size(0)
        elements = torch.arange(n_species, device=species.device)
        order = torch.argsort(species)
        counts: list[int] = torch.bincount(species, minlength=n_species).tolist()

        centre, neighbor = graph.edge_index[0], graph.edge_index[1].contiguous()
        first_edge = functional.pad(torch.cumsum(torch.bincount(centre, minlength=n), 0), [1, 0])
        # The polynomial loses digits near the cutoff, where it is a small difference of large numbers.
        vectors = graph.edge_vectors.to(torch.float64)
        x = self.radial_functions.relative(
            torch.linalg.vector_norm(vectors, dim=1), everywhere[centre], everywhere[neighbor]
        )
        radial = self.radial_functions(x).to(graph.edge_vectors.dtype)  # (E, R)
        harmonics = self.spherical_harmonics(graph.edge_vectors)  # (E, B)

        of_element = [self.embedding[:, None, :]]  # (Z, 1, C), the same for all atoms of an element
        features = [of_element[0].index_select(0, species)]
        for k, layer in enumerate(self.layers):
            if k == 0:
                sent = layer.sent(of_element, elements)
                sources = [source.index_select(0, everywhere) for source in sent]
            else:
                sent = layer.sent(features, species)
                flat = exchange([source.flatten(1) for source in sent], n_atoms)
                sources = [
                    source.view(n_atoms, own.size(1), own.size(2))
                    for own, source in zip(sent, flat)  # noqa: B905
                ]
            features = layer(
                features, sources, harmonics, radial, first_edge, neighbor, order, counts
            )
        energies = self.scale[species] * self.readout(features[0][:, 0]).flatten()
        if self.has_pairs:
            energies = energies + self._of_pairs(graph.edge_index, vectors, x, everywhere, n)
        return {"atomic_energies": pad_to_all(energies, n_atoms)}

    def _of_pairs(
        self, edge_index: Tensor, vectors: Tensor, x: Tensor, everywhere: Tensor, n: int
    ) -> Tensor:
        """Return the energies (n,) of the pair potential."""
        data = {
            # of the positions, only the number of rows counts: the edges have their vectors
            "pos": torch.zeros((everywhere.size(0), 3), dtype=vectors.dtype, device=vectors.device),
            "edge_index": edge_index,
            "edge_vectors": vectors,
            "normed_edge_lengths": x[:, None],
            "atom_types": self.pair_types[everywhere],
        }
        return self.pairs(data)["atomic_energy"].flatten()[:n].to(self.embedding.dtype)

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """There is no such head."""
        zero = torch.zeros_like(graph.edge_vectors[:1]).expand(graph.atomic_numbers.size(0), 3)
        return {"non_conservative_forces": zero}
