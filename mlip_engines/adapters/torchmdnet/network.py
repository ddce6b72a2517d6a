"""A representation of TorchMD-Net and its atomic energies as a network of the contract.

TorchMD-Net has its modules find their neighbours themselves, from positions and a box. Here they get what they ask for
from :class:`GivenEdges`, to which the edges come in the places of positions and box.
"""

import torch
from torch import Tensor, nn

from mlip_engines.model.graph import Graph


class GivenEdges(nn.Module):
    """What TorchMD-Net's search for neighbours returns, from edges that are known.

    TorchMD-Net takes an edge from an atom to itself for the loop that it adds to every atom, and leaves its vector as
    it is. So the vector of an edge to an image of the atom itself is made a unit vector here, as TorchMD-Net makes
    those of all other edges.

    Parameters
    ----------
    cutoff : float, Å
        Longer edges are left out.
    loops : bool
        Whether every atom gets an edge of length zero to itself.
    """

    def __init__(self, cutoff: float, *, loops: bool):
        super().__init__()
        self.cutoff, self.loops = float(cutoff), loops

    def forward(
        self, pos: Tensor, batch: Tensor, box: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return indices (2, E'), lengths (E',) and vectors (E', 3) of edges.

        ``pos`` has the vectors (E, 3), ``box`` the indices (2, E), ``batch`` a row for each atom.
        """
        assert box is not None, "the edges come in the place of the box"
        lengths = torch.linalg.vector_norm(pos, dim=1)
        near = torch.nonzero(lengths < self.cutoff).flatten()
        edges, vectors = box.index_select(1, near), pos.index_select(0, near)  # (2, E'), (E', 3)
        lengths = lengths.index_select(0, near)
        to_itself = (edges[0] == edges[1])[:, None]
        vectors = torch.where(to_itself, vectors / lengths[:, None], vectors)
        if self.loops:
            atoms = torch.arange(batch.size(0), device=edges.device)
            edges = torch.cat((edges, torch.stack((atoms, atoms))), dim=1)
            lengths = torch.cat((lengths, lengths.new_zeros(batch.size(0))))
            vectors = torch.cat((vectors, vectors.new_zeros(batch.size(0), 3)))
        return edges, lengths, vectors


class NeighborEmbedding(nn.Module):
    """Features of atoms from the elements of their neighbours: TorchMD-Net's, for edges to images as well.

    Theirs drops every edge of an atom to itself, this one only the loops of length zero. Source: Thölke, De Fabritiis,
    ICLR 2022 (arXiv:2202.02541), equation 3.

    Parameters
    ----------
    theirs : nn.Module
        Its ``embedding``, ``distance_proj``, ``combine`` and ``cutoff`` are taken.
    receiver : int
        The row of the edges that has the atoms whose features change.
    """

    def __init__(self, theirs: nn.Module, receiver: int):
        super().__init__()
        self.embedding, self.distance_proj = theirs.embedding, theirs.distance_proj
        self.combine, self.cutoff = theirs.combine, theirs.cutoff
        self.receiver = receiver

    def forward(
        self, z: Tensor, x: Tensor, edge_index: Tensor, edge_weight: Tensor, edge_attr: Tensor
    ) -> Tensor:
        """Return features (N, F)."""
        fade = self.cutoff(edge_weight) * (edge_weight > 0.0)
        messages = self.distance_proj(edge_attr) * fade.unsqueeze(1)
        senders = edge_index[1 - self.receiver]
        messages = messages * self.embedding(z).index_select(0, senders)
        summed = torch.zeros_like(x).index_add(0, edge_index[self.receiver], messages)
        return self.combine(torch.cat((x, summed), dim=1))


class GatedBlock(nn.Module):
    """TorchMD-Net's ``GatedEquivariantBlock`` without its warning, one at each evaluation of an isolated atom.

    Source: Schütt, Unke, Gastegger, ICML 2021 (arXiv:2102.03150), figure 3.
    """

    def __init__(self, theirs: nn.Module):
        super().__init__()
        self.vec1_proj, self.vec2_proj = theirs.vec1_proj, theirs.vec2_proj
        self.update_net, self.act = theirs.update_net, theirs.act
        self.out_channels = int(theirs.out_channels)

    def forward(self, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return scalars (N, F) and vectors (N, 3, F)."""
        # torch's norm has the derivative zero at zero
        norms = torch.linalg.vector_norm(self.vec1_proj(v), dim=1)
        x = self.update_net(torch.cat((x, norms), dim=-1))
        x, gates = torch.split(x, self.out_channels, dim=-1)
        v = gates.unsqueeze(1) * self.vec2_proj(v)
        if self.act is not None:
            x = self.act(x)
        return x, v


class ScalarOutput(nn.Module):
    """Atomic energies from invariant features."""

    def __init__(self, output_network: nn.Module):
        super().__init__()
        self.output_network = output_network

    def forward(self, x: Tensor, v: Tensor | None) -> Tensor:
        """Return energies (N, 1)."""
        return self.output_network(x)


class EquivariantOutput(nn.Module):
    """Atomic energies from invariant features and vectors."""

    def __init__(self, blocks: nn.ModuleList):
        super().__init__()
        self.blocks = nn.ModuleList([GatedBlock(block) for block in blocks])

    def forward(self, x: Tensor, v: Tensor | None) -> Tensor:
        """Return energies (N, 1)."""
        assert v is not None, "the representation has no vectors"
        for block in self.blocks:
            x, v = block(x, v)
        return x


class NoRepulsion(nn.Module):
    """What stands for TorchMD-Net's nuclear repulsion in models that have none."""

    def forward(self, energies: Tensor, graph: Graph) -> Tensor:
        """Return the energies (N, 1) as they are."""
        return energies


class Repulsion(nn.Module):
    """TorchMD-Net's nuclear repulsion (its prior ``ZBL``), by atom.

    Parameters
    ----------
    prior : nn.Module
        The prior, which sums over the structures that ``batch`` numbers: here every atom is one.
    """

    def __init__(self, prior: nn.Module):
        super().__init__()
        self.prior = prior

    def forward(self, energies: Tensor, graph: Graph) -> Tensor:
        """Return energies (N, 1) with half the repulsion of every pair added to each of its atoms."""
        each = torch.arange(graph.atomic_numbers.size(0), device=energies.device)
        return self.prior.post_reduce(
            energies, graph.atomic_numbers, graph.edge_vectors, each, graph.edge_index, None
        )


class TorchmdNetwork(nn.Module):
    """Atomic energies by a model of TorchMD-Net; follows :mod:`mlip_engines.model.contract`.

    Parameters
    ----------
    representation, output, repulsion : nn.Module
        The former with :class:`GivenEdges` for its search of neighbours.
    receiver : int
        The row of TorchMD-Net's edges that has the atoms to which messages go; their vectors point from row 1 to row 0.
    factor : float
        By which atomic energies of the output are multiplied.
    rows : dict of int to int
        Row of the tables of elements for each atomic number.
    cutoff : float, Å
    layers : int
    charged : bool
        Whether the total charge is an input; otherwise it is zero, as TorchMD-Net takes it where nobody gives one.
    """

    heads: list[str]
    structure_inputs: list[str]

    def __init__(
        self,
        representation: nn.Module,
        output: nn.Module,
        repulsion: nn.Module,
        receiver: int,
        factor: float,
        rows: dict[int, int],
        cutoff: float,
        layers: int,
        *,
        charged: bool,
    ):
        super().__init__()
        self.representation, self.output, self.repulsion = representation, output, repulsion
        self.receiver, self.factor = receiver, float(factor)
        self.cutoff, self.message_passing_layers = float(cutoff), layers
        self.heads = ["energy"]
        self.structure_inputs = ["total_charge"] if charged else []
        table = torch.full((119,), -1, dtype=torch.int64)
        for number, row in rows.items():
            table[number] = row
        self.register_buffer("row_of", table)

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,)."""
        numbers, vectors = graph.atomic_numbers, graph.edge_vectors
        if numbers.size(0) == 0:
            return {"atomic_energies": vectors.new_zeros(0) + vectors.sum()}
        # Messages go to the centre, all of whose edges are here, whichever process owns it.
        edges = graph.edge_index if self.receiver == 0 else graph.edge_index.flip(0)
        vectors = -vectors if self.receiver == 0 else vectors.clone()  # which they change in place
        structures = graph.structure_index
        if structures is None:
            structures = torch.zeros_like(numbers)
        charge = graph.total_charge
        if charge is not None:
            charge = charge.reshape(-1).to(vectors.dtype)
        x, v, _, _, _ = self.representation(
            self.row_of[numbers], vectors, structures, edges, charge, None
        )
        energies = self.factor * self.output(x, v)
        return {"atomic_energies": self.repulsion(energies, graph).flatten()}

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """There is no such head."""
        shape = (graph.atomic_numbers.size(0), 3)
        zero = torch.zeros(shape, dtype=graph.edge_vectors.dtype, device=graph.edge_vectors.device)
        return {"non_conservative_forces": zero}
