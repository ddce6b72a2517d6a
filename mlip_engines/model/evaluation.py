"""Calling the methods of a model file with a graph, whichever version of mlip-engines wrote the file.

TorchScript runs without its optimizer. That one takes the way through a program that its first evaluations took for
the only one, and what it assumes about derivatives then can be wrong: forces of some networks of other packages were,
after a first evaluation without edges. It also makes the first evaluations slow, and later ones not faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mlip_engines.model.contract import ModelContractError

if TYPE_CHECKING:
    from mlip_engines.model.contract import ModelMetadata
    from mlip_engines.model.graph import Graph


def evaluate(
    module: nn.Module,
    graph: Graph,
    *,
    with_non_conservative: bool = False,
    with_atomic_virials: bool = False,
) -> dict[str, Tensor]:
    """Evaluate energy, forces and virial of a model and, if asked, its non-conservative heads.

    Parameters
    ----------
    module : nn.Module
        The module of a model file, or an :class:`~mlip_engines.model.exported.ExportedModel`, which also says
        what is returned.
    graph : Graph
        Edge vectors in float64.
    with_non_conservative, with_atomic_virials : bool
    """
    with torch.jit.optimized_execution(False):
        return module.evaluate(
            *graph.local, with_non_conservative, with_atomic_virials, *_structure(graph)
        )


def non_conservative(module: nn.Module, graph: Graph) -> dict[str, Tensor]:
    """Evaluate the non-conservative heads of a model only; arguments as for :func:`evaluate`."""
    with torch.jit.optimized_execution(False):
        return module.non_conservative(*graph.local, *_structure(graph))


def centroid_virials(module: nn.Module, graph: Graph, positions: Tensor) -> Tensor:
    """Evaluate the virials (N, 3, 3) in eV that the heat flux needs.

    Parameters
    ----------
    module : nn.Module
        As for :func:`evaluate`.
    graph : Graph
        Unfolded, edge vectors in float64: periodic images are atoms of their own, and only those of one cell are owned.
    positions : (N, 3) tensor, Å

    Raises
    ------
    ModelContractError
        If the file was written before this method existed.
    """
    if not hasattr(module, "centroid_virials"):
        raise ModelContractError(
            "expected a model file with the method 'centroid_virials', which the heat flux of several message-passing "
            "layers needs, got an older file; export it again: mlip-export OLD.pt -o NEW.pt"
        )
    arguments = (*graph.local, positions, *_structure(graph))
    with torch.jit.optimized_execution(False):
        return module.centroid_virials(*arguments)["centroid_virials"]


def network_of(module: nn.Module) -> nn.Module:
    """Return the network of a file or an ``ExportedModel``, with its gradients; it takes a :class:`Graph`.

    The methods of a file return detached tensors, so this is for who differentiates further.
    """
    network = module.network
    if not isinstance(network, torch.jit.ScriptModule):  # not from a file
        return network
    # The arguments are the network itself, the graph and with_non_conservative.
    takes_graph = len(network.forward.schema.arguments) == 3
    return network if takes_graph else SeparateTensorsNetwork(network)


def trained_network_of(module: nn.Module, metadata: ModelMetadata) -> nn.Module:
    """Return the network of a file as it was trained, without what the export has put around it.

    Of a model with the inner force of another network it is the pair of both.

    Parameters
    ----------
    module : nn.Module
    metadata : ModelMetadata
        Of the same file.
    """
    network = module.network
    if metadata.symmetrisation:
        network = network.network
    return network.network if metadata.short_range else network


class SeparateTensorsNetwork(nn.Module):
    """A network from a file of before networks took a graph: it takes atoms and edges as separate tensors."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        self.cutoff = network.cutoff
        self.message_passing_layers = network.message_passing_layers
        self.heads = network.heads

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate the energy and, if asked, the non-conservative heads."""
        return self.network(*graph.local, with_non_conservative)

    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate the non-conservative heads only."""
        return self.network.non_conservative(*graph.local)


def _structure(graph: Graph) -> tuple[dict[str, Tensor], ...]:
    """Return the last argument of the methods: only files that depend on the structure as a whole have it."""
    given = graph.structure_inputs
    return (given,) if given else ()
