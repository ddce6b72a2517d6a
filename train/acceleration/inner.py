"""The inner force of a model that has one, taken as the beginning of another model's inner force.

What a small network has learnt of water it need not learn again because the energy comes from somewhere else: the bonds
are the same, and a few minutes of labels move it from one energy to the other.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlip_engines.checkpoints import export_network
from mlip_engines.model.load import LoadedModel
from mlip_train.loop.model_file import inner_of_file
from mlip_train.networks import stored_settings


@dataclass(frozen=True)
class GivenSize:
    """The size of a network that exists."""

    name: str
    network: dict[str, Any]

    def settings(self, symbols: list[str], longest_cutoff: float) -> dict[str, Any]:
        """Return the settings of the network, whatever is asked for."""
        return dict(self.network)


def check_inner(inner: LoadedModel, model: LoadedModel, symbols: list[str]) -> None:
    """Refuse a model whose non-conservative forces cannot begin the inner force of another.

    Raises
    ------
    ValueError
        If it has none, its file does not say what gives them, or it knows fewer elements or sees farther than
        ``model``.
    """
    name = inner.metadata.name
    if not inner.metadata.has_non_conservative_forces:
        raise ValueError(
            f"--inner: expected a model with non-conservative forces, got {name}, which has none; leave --inner out"
        )
    if "network" not in _training(inner):
        raise ValueError(
            f"--inner: the file of {name} does not say what its network was built from, so it cannot be trained on; "
            "take a model of mlip-train, or leave --inner out"
        )
    missing = sorted(set(symbols) - set(inner.metadata.species))
    if missing:
        raise ValueError(
            f"--inner: expected a model that knows {', '.join(symbols)}, got {name}, which knows "
            f"{', '.join(inner.metadata.species)}; leave --inner out"
        )
    cutoff = float(_training(inner)["network"]["cutoff"])
    if cutoff > model.metadata.cutoff:
        raise ValueError(
            f"--inner: expected a network that sees no farther than {model.metadata.name}, {model.metadata.cutoff} Å, "
            f"got one that sees {cutoff} Å; leave --inner out"
        )


def given_size(inner: LoadedModel) -> GivenSize:
    """Return the size of the network that gives the non-conservative forces of a model."""
    return GivenSize(f"that of {inner.metadata.name}", stored_settings(_training(inner)["network"]))


def write_inner(inner: LoadedModel, output: Path) -> Path:
    """Write the network as a model file of its own, from which a training can start."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about distances: its energy is not used
        export_network(inner_of_file(inner), output, inner.metadata.dtype, short_range="none")
    return output


def _training(inner: LoadedModel) -> dict[str, Any]:
    training = dict(inner.metadata.training)
    return dict(training.get("inner", training))
