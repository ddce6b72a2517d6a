"""A property network on disk: tensors and plain values, no code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from mlip_train.networks import stored_settings
from mlip_train.property.network import Build, PropertyNetwork

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
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a checkpoint of mlip-property, found nothing at {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:
        raise ValueError(
            f"{path}: expected a checkpoint of mlip-property, cannot read it: {e}"
        ) from e
    if not isinstance(state, dict) or state.get("kind") != KIND:
        raise ValueError(
            f"{path}: expected a checkpoint of mlip-property; one of mlip-train has no property, give it to "
            "mlip-property --from"
        )
    state["build"]["network"] = stored_settings(state["build"]["network"])
    return state


def open_property(path: str | Path) -> tuple[PropertyNetwork, list[str]]:
    """Return the best network of a run, ready to predict, and the names of its targets."""
    state = read_property(path)
    network = PropertyNetwork(Build(**state["build"]))
    network.load_state_dict(state["best"])
    return network.eval(), list(state["build"]["targets"])
