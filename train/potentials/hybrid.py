"""A network beside an empirical potential: E = E_network + E_empirical, trained together.

Zheng, Fung, Improving reliability of machine learned interatomic potentials with physics-informed pretraining,
appendix B; the Morse part as a regulariser: Fu et al., arXiv:2210.07237.
"""

import torch
from torch import Tensor, nn

from mlip_engines.model.graph import Graph, with_edges
from mlip_engines.operators import keep_edges
from mlip_train.potentials.eam import EmbeddedAtom


class WithEmpirical(nn.Module):
    """Add an empirical potential to the energy of a network, and the forces of its Morse pairs to the heads.

    Follows :mod:`mlip_engines.model.contract`. The forces of embedding depend on neighbours of neighbours, which a head
    would have to ask for; what keeps atoms apart in the inner loop of r-RESPA are the pairs, and the head of the
    network learns the rest.

    Parameters
    ----------
    network : AtomicNetwork
    empirical : EmbeddedAtom
        With a cutoff of at most that of the network.

    Raises
    ------
    ValueError
        If the potential sees farther than the network.
    """

    heads: list[str]
    structure_inputs: list[str]

    def __init__(self, network: nn.Module, empirical: EmbeddedAtom):
        super().__init__()
        if empirical.cutoff > network.cutoff:
            raise ValueError(
                f"empirical: expected a cutoff of at most that of the network, {network.cutoff} Å, got "
                f"{empirical.cutoff} Å"
            )
        self.network, self.empirical = network, empirical
        self.cutoff = float(network.cutoff)
        self.near = float(empirical.cutoff)
        self.sees_fewer = self.near < self.cutoff
        self.message_passing_layers = int(network.message_passing_layers)
        self.non_conservative_layers = int(getattr(network, "non_conservative_layers", 0))
        self.feature_exchange = bool(getattr(network, "feature_exchange", False))
        self.edge_exchange = bool(getattr(network, "edge_exchange", False))
        self.structure_inputs = list(getattr(network, "structure_inputs", []))
        self.heads = list(network.heads)
        self.register_buffer("per_scale", torch.ones(()))

    def set_scale(self, scale: float) -> None:
        """Say by what, in eV/Å, everything is multiplied that this network returns; the potential is in eV."""
        self.per_scale.fill_(1.0 / scale)

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate the energy of each atom and, if asked, the heads."""
        output = self.network(graph, with_non_conservative)
        near = self.within_sight(graph)
        pairs = self.empirical(near, False)["atomic_energies"]
        output["atomic_energies"] = output["atomic_energies"] + self.per_scale * pairs
        if with_non_conservative:
            self.add_pairs(output, near)
        return output

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate the heads."""
        predicted = self.network.non_conservative(graph)
        output: dict[str, Tensor] = {}
        for name, value in predicted.items():
            output[name] = value
        self.add_pairs(output, self.within_sight(graph))
        return output

    def add_pairs(self, output: dict[str, Tensor], near: Graph) -> None:
        """Add forces and virials of the pairs to what a head has predicted of each."""
        pairs = self.empirical.non_conservative(near)
        for name, value in pairs.items():
            if name in output:
                output[name] = output[name] + self.per_scale * value

    def within_sight(self, graph: Graph) -> Graph:
        """Return the graph of the edges within the cutoff of the potential."""
        if self.sees_fewer:
            kept, reverse_edge = keep_edges(
                graph.reverse_edge,
                torch.linalg.vector_norm(graph.edge_vectors, dim=1) < self.near,
            )
            graph = with_edges(
                graph, graph.edge_index[:, kept], graph.edge_vectors[kept], reverse_edge
            )
        return graph
