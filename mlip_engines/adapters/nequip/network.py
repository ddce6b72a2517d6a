"""The energy model of NequIP or Allegro as a network of the contract."""

import torch
from torch import Tensor, nn

from mlip_engines.model.graph import Graph


class NequipNetwork(nn.Module):
    """Atomic energies by a model of NequIP or Allegro; follows :mod:`mlip_engines.model.contract`.

    Parameters
    ----------
    core : nn.Module
        A dictionary with the edges to one with ``atomic_energy`` (N, 1).
    numbers : list of int
        Atomic number of each type of the core.
    cutoff : float, Å
    layers : int
    dtype : {"float32", "float64"}
        In which the core computes; it takes vectors in float64 whatever this is.
    """

    heads: list[str]

    def __init__(self, core: nn.Module, numbers: list[int], cutoff: float, layers: int, dtype: str):
        super().__init__()
        self.core = core
        self.cutoff, self.message_passing_layers = float(cutoff), layers
        self.heads = ["energy"]
        types = torch.full((119,), -1, dtype=torch.int64)
        types[torch.tensor(numbers)] = torch.arange(len(numbers))
        self.register_buffer("types", types)
        # by which the precision of the network is known
        self.register_buffer("unit", torch.ones(1, dtype=getattr(torch, dtype)))

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,)."""
        vectors = graph.edge_vectors.to(torch.float64)
        n_atoms = graph.atomic_numbers.size(0)
        data = {
            # of the dictionary, only the number of its rows counts: the edges have their vectors
            "pos": torch.zeros((n_atoms, 3), dtype=torch.float64, device=vectors.device),
            "edge_index": graph.edge_index,
            "edge_vectors": vectors,
            "atom_types": self.types[graph.atomic_numbers],
        }
        return {"atomic_energies": self.core(data)["atomic_energy"].flatten()}

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """There is no such head."""
        shape = (graph.atomic_numbers.size(0), 3)
        zero = torch.zeros(shape, dtype=graph.edge_vectors.dtype, device=graph.edge_vectors.device)
        return {"non_conservative_forces": zero}
