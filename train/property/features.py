"""The features of each atom that a network reads its energy from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mlip_engines.model.graph import Graph


class AtomFeatures(nn.Module):
    """A network of energies as a source of features: what goes into its ``energy_head``.

    Parameters
    ----------
    network : nn.Module
        One of :data:`mlip_train.networks.NETWORKS`, alone or beside an empirical potential.

    Raises
    ------
    ValueError
        If the network has no ``energy_head``.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        head = getattr(getattr(network, "network", network), "energy_head", None)
        if isinstance(head, nn.ModuleDict):  # gated: both parts read the same features
            head = next(iter(head.values()))
        if not isinstance(head, nn.Module):
            raise ValueError(
                f"expected a network with an energy_head, whose input are features of atoms; {type(network).__name__} "
                "has none"
            )
        self._caught: Tensor | None = None
        head.register_forward_pre_hook(self._catch)

    def forward(self, graph: Graph) -> Tensor:
        """Return the features (N, F) of the atoms of a graph."""
        return self._evaluate(graph, False)[0]

    def with_vectors(self, graph: Graph) -> tuple[Tensor, Tensor]:
        """Return the features (N, F), and the vectors (N, 3) of the head for non-conservative forces."""
        features, output = self._evaluate(graph, True)
        return features, output["non_conservative_forces"]

    def _evaluate(self, graph: Graph, with_vectors: bool) -> tuple[Tensor, dict[str, Tensor]]:
        self._caught = None
        output = self.network(graph, with_vectors)
        if self._caught is None:
            raise RuntimeError(
                f"{type(self.network).__name__} gave an energy without its energy_head"
            )
        features, self._caught = self._caught, None
        return features, output

    def size(self) -> int:
        """Return F, found by evaluating a single atom."""
        like = next(self.network.parameters())
        species = (getattr(self.network, "network", self.network)).species_index
        number = int(torch.nonzero(species >= 0)[0])
        none = torch.zeros((2, 0), dtype=torch.int64)
        graph = Graph(
            atomic_numbers=torch.tensor([number]),
            edge_index=none,
            edge_vectors=torch.zeros((0, 3), dtype=like.dtype),
            reverse_edge=none[0],
            owned=torch.ones(1, dtype=torch.bool),
        )
        with torch.no_grad():
            return int(self(graph).size(1))

    def _catch(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._caught = inputs[0]
