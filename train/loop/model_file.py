"""A model file that holds networks of this package, opened to be exported again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from mlip_engines.checkpoints import Exportable, NotThisKind
from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.data_range import DataRange
from mlip_engines.model.evaluation import trained_network_of
from mlip_engines.model.inner_force import WithInnerForce
from mlip_engines.model.load import LoadedModel, load_model, read_metadata
from mlip_engines.model.orientations import Orientations, stored_orientations
from mlip_train.networks import build_network, stored_settings


def open_model_file(path: str | Path) -> Exportable:
    """Return the network of a model file and what the file says of it.

    A model file is a TorchScript program, which gives its author the right to run code: use only what you trust.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    NotThisKind
        If it is no model file, or not one that says what its network was built from.
    """
    try:
        metadata = read_metadata(path)
    except ModelContractError as e:
        raise NotThisKind(f"expected a model file: {e}") from e
    if "network" not in metadata.training:
        raise NotThisKind(f"{path}: the model file does not say what its network was built from")
    if metadata.properties:
        raise NotThisKind(
            f"{path}: the model file has properties, of which this reader knows nothing"
        )
    return exportable_of_file(load_model(path))


def exportable_of_file(loaded: LoadedModel) -> Exportable:
    """Return the network of energies of a loaded model file, and what the file says of it."""
    module, metadata = loaded.module, loaded.metadata
    scripted = trained_network_of(module, metadata)
    network = _rebuilt(metadata.training, scripted)
    return Exportable(
        network,
        species=list(metadata.species),
        name=metadata.name,
        reference_energies=dict(metadata.reference_energies),
        scale=float(module.scale),
        training=metadata.training,
        errors=dict(metadata.errors),
        errors_by=dict(metadata.errors_by),
        card=dict(metadata.card),
        licence=metadata.licence,
        citation=metadata.citation,
        shortest_distances=dict(metadata.short_range),
        data_range=DataRange(metadata.energy_range, metadata.largest_forces),
        orientations=_orientations(module.network, metadata.symmetrisation),
    )


def inner_of_file(loaded: LoadedModel) -> Exportable:
    """Return the network that gives the non-conservative forces of a loaded model file.

    The network of the energy may be of another package.

    Raises
    ------
    NotThisKind
        If the file does not say what that network was built from.
    """
    module, metadata = loaded.module, loaded.metadata
    training = metadata.training.get("inner", metadata.training)
    if "network" not in training:
        raise NotThisKind(
            f"{loaded.path}: the model file does not say what its network was built from"
        )
    scripted, scale = trained_network_of(module, metadata), float(module.scale)
    if "inner" in metadata.training:
        scripted, scale = scripted.inner, scale * float(scripted.scale)
    return Exportable(
        _rebuilt(training, scripted),
        species=list(metadata.species),
        name=metadata.name,
        scale=scale,
        training=dict(training),
        licence=metadata.licence,
        citation=metadata.citation,
        shortest_distances=dict(metadata.short_range),
    )


def _orientations(network: nn.Module, origin: dict[str, Any]) -> Orientations | None:
    """Return what the file averages over, None if it does not."""
    if not origin:
        return None
    return stored_orientations(origin, network.turns.cpu().numpy(), network.weights.cpu().numpy())


def _rebuilt(training: dict[str, Any], scripted: nn.Module) -> nn.Module:
    """Build a network, with its inner force if it has one, and give it the weights of the file."""
    if "inner" in training:
        outer = {key: value for key, value in training.items() if key != "inner"}
        return WithInnerForce(
            _rebuilt(outer, scripted.outer),
            _rebuilt(training["inner"], scripted.inner),
            float(scripted.scale),
        )
    network = build_network(stored_settings(training["network"]))
    network.load_state_dict(scripted.state_dict())
    return network
