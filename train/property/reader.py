"""What a model file computes its properties with: a network without its energy, and the head, both as TorchScript."""

# No "from __future__ import annotations" here: TorchScript reads the annotations as types.
import copy

import torch
from torch import Tensor, nn

from mlip_engines.model.graph import Graph
from mlip_engines.operators import pad_to_all
from mlip_train.networks.pet import PET
from mlip_train.networks.torchmdnet import TorchMDNet
from mlip_train.property.network import PropertyNetwork


class SeenByHead(nn.Module):
    """An energy head that keeps what it is given; TorchScript has no hooks that do so."""

    def __init__(self, head: nn.Module):
        super().__init__()
        self.head = head
        self.features = torch.zeros(0)

    def forward(self, features: Tensor) -> Tensor:
        """Return what the head does."""
        self.features = features
        return self.head(features)


class SeenByVectorHead(nn.Module):
    """Likewise a head of scalars and vectors, as of TorchMD-Net."""

    def __init__(self, head: nn.Module):
        super().__init__()
        self.head = head
        self.features = torch.zeros(0)

    def forward(self, features: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the head does."""
        self.features = features
        return self.head(features, vectors)


class SeenByEdgeHead(nn.Module):
    """Likewise a head of atoms and edges, as of PET."""

    def __init__(self, head: nn.Module):
        super().__init__()
        self.head = head
        self.features = torch.zeros(0)

    def forward(self, features: Tensor, edges: Tensor, fade: Tensor, centre: Tensor) -> Tensor:
        """Return what the head does."""
        self.features = features
        return self.head(features, edges, fade, centre)


class PropertyReader(nn.Module):
    """Values and scores of atoms, see :mod:`mlip_engines.model.structure_properties`.

    Parameters
    ----------
    trained : PropertyNetwork
        Copied. Of a network beside an empirical potential only the network counts: it has the features.
    """

    def __init__(self, trained: PropertyNetwork):
        super().__init__()
        trained = copy.deepcopy(trained).eval()
        network = trained.features.network
        network = getattr(network, "network", network)
        for module in network.modules():  # those of AtomFeatures
            module._forward_pre_hooks.clear()
        self.cutoff = float(network.cutoff)
        self.message_passing_layers = int(network.message_passing_layers)
        if isinstance(network.energy_head, nn.ModuleDict):  # gated: both parts read the same
            network.energy_head["core"] = SeenByHead(network.energy_head["core"])
        elif isinstance(network, TorchMDNet):
            network.energy_head = SeenByVectorHead(network.energy_head)
        elif isinstance(network, PET):
            network.energy_head = SeenByEdgeHead(network.energy_head)
        else:
            network.energy_head = SeenByHead(network.energy_head)
        self.network = network
        self.values = trained.pooling.values
        scores = trained.pooling.scores
        self.has_scores = scores is not None
        self.scores = nn.Identity() if scores is None else scores
        self.register_buffer("mean", trained.scales.mean)
        self.register_buffer("spread", trained.scales.spread)
        self.register_buffer("per_element", trained.scales.per_element)

    def _apply(self, fn, recurse=True):
        """Keep means and spreads in float64 whatever the dtype of the network: reference values may be large."""
        names = ("mean", "spread", "per_element")
        kept = {name: self._buffers[name] for name in names}
        super()._apply(fn, recurse)
        for name, value in kept.items():
            self._buffers[name] = value.to(self._buffers[name].device)
        return self

    def forward(self, graph: Graph) -> dict[str, Tensor]:
        """Return ``property_values`` and ``property_scores`` (N, T), float64; zero where others evaluate."""
        self.network(graph, False)
        features = self.seen()  # (n, F), n at most N
        values = self.values(features)  # (n, T)
        numbers = graph.atomic_numbers[: features.size(0)]
        weighted = self.mean + self.spread * values.to(torch.float64) + self.per_element[numbers]
        scores = torch.zeros_like(weighted)
        if self.has_scores:
            scores = self.scores(features).to(torch.float64)
        n_atoms = graph.atomic_numbers.size(0)
        return {
            "property_values": pad_to_all(weighted, n_atoms),
            "property_scores": pad_to_all(scores, n_atoms),
        }

    def seen(self) -> Tensor:
        """Return the features and forget them, which may be large."""
        features = self.network.energy_head.features
        self.network.energy_head.features = torch.zeros(0)
        return features


class GatedReader(PropertyReader):
    """The same for a network whose energy is gated, as of M3GNet."""

    def seen(self) -> Tensor:
        """Return the features and forget them, which may be large."""
        features = self.network.energy_head["core"].features
        self.network.energy_head["core"].features = torch.zeros(0)
        return features


def reader_of(trained: PropertyNetwork) -> PropertyReader:
    """Return what a model file computes the properties of a trained network with.

    Raises
    ------
    ValueError
        If its energy head is of an unknown kind.
    """
    network = trained.features.network
    head = getattr(network, "network", network).energy_head
    if not isinstance(head, nn.ModuleDict):
        return PropertyReader(trained)
    if "core" not in head:
        raise ValueError(
            f"expected an energy_head with a part 'core', as of M3GNet, got {sorted(head.keys())}; this network cannot "
            "give properties in a model file"
        )
    return GatedReader(trained)
