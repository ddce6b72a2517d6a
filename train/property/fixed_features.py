"""Features of structures under a network that is not trained: computed once, not in every epoch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mlip_train.data.structure import TrainingStructure
from mlip_train.property.network import PropertyNetwork
from mlip_train.property.prediction import batch_of


class FixedFeatures:
    """What a head alone is trained on; memory is N times F numbers for all atoms of the structures.

    Parameters
    ----------
    network : PropertyNetwork
        Its features must not change any more.
    structures : sequence of TrainingStructure
    batch_size : int
    """

    def __init__(
        self, network: PropertyNetwork, structures: Sequence[TrainingStructure], batch_size: int
    ):
        self.network = network
        self.numbers = [structure.atomic_numbers for structure in structures]
        self.features: list[Tensor] = []  # (N, F) of each structure
        with torch.no_grad():
            for start in range(0, len(structures), batch_size):
                batch = batch_of(list(structures[start : start + batch_size]), network)
                features = network.features(batch.graph)  # (N, F)
                self.features += features.split(batch.labels.n_atoms.tolist())

    def properties(self, chosen: Sequence[int]) -> Tensor:
        """Return the properties (S, T) of structures by their indices, as the network gives them."""
        n_atoms = torch.tensor([len(self.numbers[k]) for k in chosen])
        return self.network.of_features(
            torch.cat([self.features[k] for k in chosen]),
            torch.cat([self.numbers[k] for k in chosen]),
            torch.repeat_interleave(torch.arange(len(chosen)), n_atoms),
            n_atoms,
        )
