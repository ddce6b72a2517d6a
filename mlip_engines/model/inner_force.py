"""Two networks in one: the energy of an accurate one, the non-conservative forces of a cheap one."""

import torch
from torch import Tensor, nn

from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.graph import Graph, with_edges
from mlip_engines.operators import keep_edges


class WithInnerForce(nn.Module):
    """Take the energy from one network and the non-conservative heads from another.

    For r-RESPA any cheap force will do as the inner one, as long as it is close to that of the energy: the outer step
    adds the difference back. A small network that was trained on the forces of a large one costs less than a head that
    shares layers with it. Follows :mod:`mlip_engines.model.contract`, as the two do.

    Parameters
    ----------
    outer : AtomicNetwork
        Its energy is taken. Other heads of it, if there are any, do not run.
    inner : AtomicNetwork
        With a head for non-conservative forces; it may see less far than ``outer``.
    scale : float
        Factor on what ``inner`` returns, from its unit to that of ``outer``.

    Raises
    ------
    ModelContractError
        If ``inner`` has no such head, sees farther than ``outer``, or the two compute in different dtypes.
    """

    heads: list[str]
    structure_inputs: list[str]

    def __init__(self, outer: nn.Module, inner: nn.Module, scale: float = 1.0):
        super().__init__()
        if "non_conservative_forces" not in inner.heads:
            raise ModelContractError(
                f"the inner network needs a head for non-conservative forces, it has {inner.heads}"
            )
        if inner.cutoff > outer.cutoff:
            raise ModelContractError(
                f"the inner network sees {inner.cutoff} Å far, farther than the outer, {outer.cutoff} Å, whose edges "
                "it is given; train one with a shorter cutoff"
            )
        parameters = [*outer.parameters(), *inner.parameters()]
        dtypes = {p.dtype for p in parameters if p.is_floating_point()}  # some count in integers
        if len(dtypes) > 1:
            raise ModelContractError(
                f"both networks must compute in one dtype, got {sorted(map(str, dtypes))}"
            )
        self.outer, self.inner = outer, inner
        self.scale = float(scale)
        self.cutoff = float(outer.cutoff)
        self.inner_cutoff = float(inner.cutoff)
        self.sees_fewer = self.inner_cutoff < self.cutoff
        # compiled operators of some networks leave out edges themselves, faster than it is done here
        self.inner_selects = bool(getattr(inner, "selects_edges", False))
        # Engines count edges of the outer graph, of which those of the inner one are a part.
        self.non_conservative_layers = (
            getattr(inner, "non_conservative_layers", 0) or inner.message_passing_layers
        )
        self.message_passing_layers = max(
            outer.message_passing_layers, self.non_conservative_layers
        )
        self.feature_exchange = all(
            getattr(network, "feature_exchange", False) for network in (outer, inner)
        )
        self.edge_exchange = self.feature_exchange and any(
            getattr(network, "edge_exchange", False) for network in (outer, inner)
        )
        self.structure_inputs = sorted(
            {
                name
                for network in (outer, inner)
                for name in getattr(network, "structure_inputs", [])
            }
        )
        self.heads = ["energy", *(h for h in inner.heads if h.startswith("non_conservative"))]

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,) of the outer and, if asked, the heads of the inner network."""
        output = self.outer(graph, False)
        if with_non_conservative:
            # Nobody differentiates these: keep them off the graph of the energy.
            constant = with_edges(
                graph, graph.edge_index, graph.edge_vectors.detach(), graph.reverse_edge
            )
            head = self.non_conservative(constant)
            for name, value in head.items():
                output[name] = value
        return output

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate the inner network, on the edges that it sees."""
        if self.sees_fewer and not (self.inner_selects and graph.edge_vectors.is_cpu):
            near = torch.linalg.vector_norm(graph.edge_vectors, dim=1) < self.inner_cutoff  # (E,)
            kept, reverse_edge = keep_edges(graph.reverse_edge, near)  # (E',) each
            graph = with_edges(
                graph, graph.edge_index[:, kept], graph.edge_vectors[kept], reverse_edge
            )
        predicted = self.inner.non_conservative(graph)
        output: dict[str, Tensor] = {}
        for name, value in predicted.items():
            output[name] = self.scale * value
        return output
