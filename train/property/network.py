"""A network that gives properties of structures: atoms' features of a potential, pooled."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mlip_train.data.batching import Batch
from mlip_train.networks import build_network
from mlip_train.property.features import AtomFeatures
from mlip_train.property.pooling import Pooling
from mlip_train.property.scales import Scales


@dataclass(frozen=True)
class Build:
    """What a property network is built from."""

    network: dict[str, Any]  # settings, with the species
    targets: list[str]
    pooling: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for a checkpoint."""
        return asdict(self)


class PropertyNetwork(nn.Module):
    """Properties (S, T) of a batch in the units of the data.

    Parameters
    ----------
    build : Build
    """

    def __init__(self, build: Build):
        super().__init__()
        self.features = AtomFeatures(build_network(build.network))
        self.pooling = Pooling(self.features.size(), len(build.targets), build.pooling)
        self.scales = Scales(len(build.targets), is_extensive=build.pooling == "sum")
        self.is_head_only = False

    @property
    def cutoff(self) -> float:
        """Cutoff of the network, Å."""
        return float(self.features.network.cutoff)

    def train_only_head(self) -> None:
        """Leave the network as it is; only the head learns."""
        self.is_head_only = True
        self.features.requires_grad_(False)

    def forward(self, batch: Batch) -> Tensor:
        """Return the properties (S, T)."""
        graph, n_atoms = batch.graph, batch.labels.n_atoms
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.is_head_only):
            features = self.features(graph)  # (N, F)
        pooled = self.pooling(features, graph.structure_index, n_atoms)
        return self.scales(pooled, graph.atomic_numbers, graph.structure_index)
