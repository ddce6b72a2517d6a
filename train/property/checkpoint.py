"""A property network on disk: tensors and plain values, no code."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mlip_engines.checkpoints import Exportable, NotThisKind
from mlip_engines.model.structure_properties import properties_in
from mlip_train.loop.checkpoint import plain_contents
from mlip_train.networks import stored_settings
from mlip_train.property.network import Build, PropertyNetwork
from mlip_train.property.potential import exportable_of
from mlip_train.property.reader import reader_of

KIND = "mlip-property 1"


def save_property(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint so that an interruption leaves the old one or the new one."""
    draft = path.with_name(path.name + ".partial")
    torch.save({"kind": KIND, **state}, draft)
    os.replace(draft, path)


def read_property(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of mlip-property.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is another file.
    """
    state = plain_contents(path, "mlip-property")
    if not isinstance(state, dict) or state.get("kind") != KIND:
        raise ValueError(
            f"{path}: expected a checkpoint of mlip-property; one of mlip-train has no property, give it to "
            "mlip-property --from"
        )
    state["build"]["network"] = stored_settings(state["build"]["network"])
    return state


def property_start(path: str | Path) -> dict[str, Any] | None:
    """Return the state of a checkpoint of mlip-property to go on from, None if the file is something else."""
    try:
        return read_property(path)
    except ValueError:
        return None


def open_property(path: str | Path) -> tuple[PropertyNetwork, list[str]]:
    """Return the best network of a run, ready to predict, and the names of its targets."""
    state = read_property(path)
    network = PropertyNetwork(Build(**state["build"]))
    network.load_state_dict(state["best"])
    return network.eval(), list(state["build"]["targets"])


def open_property_checkpoint(path: str | Path) -> Exportable:
    """Return the potential that a run began with, and what it has learned beside it, for mlip-export.

    The energy stays that of the potential, whatever the training on the property has done to its own copy of the
    network.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    NotThisKind
        If it is no checkpoint of mlip-property.
    ValueError
        If the run began without a potential, or a target has a name that a model file cannot have.
    """
    try:
        state = read_property(path)
    except ValueError as e:
        raise NotThisKind(str(e)) from e
    if not state.get("potential"):
        raise ValueError(
            f"{path}: expected the checkpoint of a run that began with a potential, which gives the energy of the "
            "model file, got one without; train it with mlip-property --from POTENTIAL (with --scratch, if the "
            "property's own network shall begin with random weights), or use the checkpoint with mlip-predict"
        )
    build = Build(**state["build"])
    properties_in(build.properties)
    network = PropertyNetwork(build)
    network.load_state_dict(state["best"])
    return replace(
        exportable_of(state["potential"], build),
        properties=build.properties,
        property_reader=reader_of(network),
    )
