"""M3GNet with weights of its own, as the contract wants it.

Chen, Ong, Nature Comput. Sci. 2, 718 (2022), in the form of matgl. Each direction of an edge has features of its own,
which learn from the other short edges of the same atom, then from both atoms; atoms learn from their edges.
"""

import torch
from torch import Tensor, nn

from mlip_engines.adapters.chgnet.network import Gate, pairs_of_edges
from mlip_engines.model.graph import Graph
from mlip_engines.operators import evaluated_atoms, exchange, pad_to_all


class EdgeMessage(nn.Module):
    """What the two atoms of an edge and the edge say together, times a function of its length.

    Parameters
    ----------
    of_centre, of_neighbor, of_edge : nn.Linear
        Parts of the first matrices of core and gate.
    gate : Gate
    radial : nn.Linear
        Of the radial functions.
    """

    def __init__(
        self,
        of_centre: nn.Linear,
        of_neighbor: nn.Linear,
        of_edge: nn.Linear,
        gate: Gate,
        radial: nn.Linear,
    ):
        super().__init__()
        self.of_centre, self.of_neighbor, self.of_edge = of_centre, of_neighbor, of_edge
        self.gate, self.radial = gate, radial

    def forward(
        self, atoms: Tensor, everywhere: Tensor, edges: Tensor, radial: Tensor, index: Tensor
    ) -> Tensor:
        """Return (E, F) from features of these atoms (n, F), all atoms (N, F) and edges (E, F)."""
        hidden = self.of_edge(edges)  # (E, 2 H)
        hidden = hidden + self.of_centre(atoms).index_select(0, index[0])
        hidden = hidden + self.of_neighbor(everywhere).index_select(0, index[1])
        return self.gate(hidden) * self.radial(radial)


class Block(nn.Module):
    """One round: edges from pairs of edges, edges from atoms, atoms from edges.

    Parameters
    ----------
    of_third : nn.Module
        Features of the atom at the end of the second edge to factors of the basis of a pair.
    of_pairs : nn.Module
        What the pairs of an edge say to its features.
    to_edges, to_atoms : EdgeMessage
    """

    def __init__(
        self,
        of_third: nn.Module,
        of_pairs: nn.Module,
        to_edges: EdgeMessage,
        to_atoms: EdgeMessage,
    ):
        super().__init__()
        self.of_third, self.of_pairs = of_third, of_pairs
        self.to_edges, self.to_atoms = to_edges, to_atoms

    def forward(
        self,
        atoms: Tensor,
        everywhere: Tensor,
        edges: Tensor,
        radial: Tensor,
        index: Tensor,
        basis: Tensor,
        fade: Tensor,
        first: Tensor,
        second: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return features of atoms (n, F) and edges (E, F); basis and fade (A, B), (E, 1), of pairs of edges."""
        third = self.of_third(everywhere).index_select(0, index[1]) * fade  # (E, B)
        said = basis * third.index_select(0, second)  # (A, B)
        size = (edges.size(0), basis.size(1))
        zero = torch.zeros(size, dtype=basis.dtype, device=basis.device)
        edges = edges + self.of_pairs(zero.index_add(0, first, said) * fade)
        edges = edges + self.to_edges(atoms, everywhere, edges, radial, index)
        messages = self.to_atoms(atoms, everywhere, edges, radial, index)  # (E, F)
        return atoms.index_add(0, index[0], messages), edges


class PairwiseNetwork(nn.Module):
    """Atomic energies by M3GNet; follows :mod:`mlip_engines.model.contract`.

    Parameters
    ----------
    numbers : list of int
        Atomic numbers, in the order of the embedding.
    embedding : (Z, F) tensor
    cutoff, pair_cutoff : float, Å
        Of edges, and of those in pairs.
    radial : nn.Module
        Lengths (E,) to (E, R).
    angular : nn.Module
        Lengths of second edges (A,), cosines (A,) and zeros (A,) to (A, B).
    of_edges : nn.Module
        R to the first features of edges.
    layers : list of Block
    readout : nn.Module
    """

    heads: list[str]
    feature_exchange = True

    def __init__(
        self,
        numbers: list[int],
        embedding: Tensor,
        cutoff: float,
        pair_cutoff: float,
        radial: nn.Module,
        angular: nn.Module,
        of_edges: nn.Module,
        layers: list[Block],
        readout: nn.Module,
    ):
        super().__init__()
        self.cutoff, self.pair_cutoff = float(cutoff), float(pair_cutoff)
        self.message_passing_layers = len(layers)
        self.heads = ["energy"]
        index = torch.full((119,), -1, dtype=torch.int64)
        index[torch.tensor(numbers)] = torch.arange(len(numbers))
        self.register_buffer("species_index", index)
        self.register_buffer("embedding", embedding)
        self.radial, self.angular, self.of_edges = radial, angular, of_edges
        self.layers, self.readout = nn.ModuleList(layers), readout

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,)."""
        n_atoms = graph.atomic_numbers.size(0)
        n = evaluated_atoms(n_atoms)
        index = graph.edge_index
        lengths = torch.linalg.vector_norm(graph.edge_vectors, dim=1)  # (E,)
        radial = self.radial(lengths)  # (E, R)
        x = lengths / self.pair_cutoff
        fade = 1.0 - 10.0 * x**3 + 15.0 * x**4 - 6.0 * x**5
        fade = torch.where(x <= 1.0, fade, torch.zeros_like(fade))[:, None]  # (E, 1)
        short = torch.nonzero(lengths <= self.pair_cutoff).flatten()
        pairs = pairs_of_edges(index[0].index_select(0, short), n)
        first, second = short.index_select(0, pairs[0]), short.index_select(0, pairs[1])
        units = graph.edge_vectors / lengths[:, None]
        cosines = (units.index_select(0, first) * units.index_select(0, second)).sum(dim=1)
        cosines = cosines.clamp(min=-1.0 + 1e-7, max=1.0 - 1e-7)
        basis = self.angular(lengths.index_select(0, second), cosines, torch.zeros_like(cosines))

        everywhere = self.embedding[self.species_index[graph.atomic_numbers]]  # (N, F)
        atoms, edges = everywhere[:n], self.of_edges(radial)
        for k, layer in enumerate(self.layers):
            if k > 0:
                everywhere = exchange([atoms], n_atoms)[0]
            atoms, edges = layer(
                atoms, everywhere, edges, radial, index, basis, fade, first, second
            )
        return {"atomic_energies": pad_to_all(self.readout(atoms).flatten(), n_atoms)}

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """There is no such head."""
        zero = torch.zeros_like(graph.edge_vectors[:1]).expand(graph.atomic_numbers.size(0), 3)
        return {"non_conservative_forces": zero}
