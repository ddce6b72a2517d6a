"""A run's state on disk, and the way from there to a network that can be exported."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mlip_train.networks import build_network

FORMAT = 1


def save_checkpoint(path: str | Path, state: dict[str, Any]) -> None:
    """Write a checkpoint so that an interruption leaves the old one or the new one, never half of one."""
    path = Path(path)
    draft = path.with_name(path.name + ".partial")
    torch.save({"format": FORMAT, **state}, draft)
    os.replace(draft, path)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint; tensors and plain values only, no code is run.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no checkpoint of mlip-train.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a checkpoint of mlip-train, found nothing at {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:
        raise ValueError(f"{path}: expected a checkpoint of mlip-train, cannot read it: {e}") from e
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"{path}: expected a checkpoint of mlip-train in format {FORMAT}")
    return state


def load_network(
    path: str | Path,
) -> tuple[nn.Module, dict[str, Any], dict[str, float], float]:
    """Return the averaged network, metadata fields, reference energies (eV) and scale of a checkpoint."""
    state = read_checkpoint(path)
    network = build_network(state["network"])
    network.load_state_dict(state["average"])
    return network, dict(state["metadata"]), dict(state["reference_energies"]), state["scale"]
