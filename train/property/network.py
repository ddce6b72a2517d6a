"""A network that gives properties of structures: atoms' features of a potential, pooled."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
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
    units: list[str] = field(default_factory=list)  # of the targets, empty where unknown

    @property
    def properties(self) -> list[dict[str, str]]:
        """What a model file says of the targets."""
        units = self.units or [""] * len(self.targets)
        return [
            {"name": name, "unit": unit, "pooling": self.pooling}
            for name, unit in zip(self.targets, units, strict=True)
        ]

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
        graph = batch.graph
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.is_head_only):
            features = self.features(graph)  # (N, F)
        return self._properties(features, batch)

    def with_displacements(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the properties (S, T), and a vector (N, 3) for each atom: whither it has to move."""
        features, vectors = self.features.with_vectors(batch.graph)
        return self._properties(features, batch), vectors

    @property
    def has_vectors(self) -> bool:
        """Whether the network has a head that gives a vector for each atom."""
        return "non_conservative_forces" in self.features.network.heads

    def of_features(
        self, features: Tensor, numbers: Tensor, structure: Tensor, n_atoms: Tensor
    ) -> Tensor:
        """Return the properties (S, T) from features (N, F), numbers and structures (N,) of atoms and sizes (S,)."""
        pooled = self.pooling(features, structure, n_atoms)
        return self.scales(pooled, numbers, structure)

    def _properties(self, features: Tensor, batch: Batch) -> Tensor:
        graph = batch.graph
        return self.of_features(
            features, graph.atomic_numbers, graph.structure_index, batch.labels.n_atoms
        )
