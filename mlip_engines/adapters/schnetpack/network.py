"""A representation of SchNetPack and its atomic energies as a network of the contract."""

import torch
from torch import Tensor, nn

from mlip_engines.model.graph import Graph


class SchnetpackNetwork(nn.Module):
    """Atomic energies by a model of SchNetPack; follows :mod:`mlip_engines.model.contract`.

    Parameters
    ----------
    representation : nn.Module
        A dictionary with the edges to one with ``scalar_representation`` (N, F).
    energies : nn.Module
        Features (N, F) to energies (N, 1), in the unit of the model.
    rows : dict of int to int
        Row of the representation's table of elements for each atomic number.
    cutoff : float, Å
    layers : int
    """

    heads: list[str]

    def __init__(
        self,
        representation: nn.Module,
        energies: nn.Module,
        rows: dict[int, int],
        cutoff: float,
        layers: int,
    ):
        super().__init__()
        self.representation, self.energies = representation, energies
        self.cutoff, self.message_passing_layers = float(cutoff), layers
        self.heads = ["energy"]
        table = torch.full((119,), -1, dtype=torch.int64)
        for number, row in rows.items():
            table[number] = row
        self.register_buffer("row_of", table)

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,)."""
        inputs = {
            "_atomic_numbers": self.row_of[graph.atomic_numbers],
            "_Rij": graph.edge_vectors,
            "_idx_i": graph.edge_index[0],
            "_idx_j": graph.edge_index[1],
        }
        features = self.representation(inputs)["scalar_representation"]
        return {"atomic_energies": self.energies(features).flatten()}

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """There is no such head."""
        shape = (graph.atomic_numbers.size(0), 3)
        zero = torch.zeros(shape, dtype=graph.edge_vectors.dtype, device=graph.edge_vectors.device)
        return {"non_conservative_forces": zero}
