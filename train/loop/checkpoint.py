"""A run's state on disk, and the way from there to a network that can be exported."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import torch

from mlip_engines.checkpoints import Exportable, NotThisKind
from mlip_engines.labels.shortest import with_margin
from mlip_train.loop.record import range_in_record
from mlip_train.networks import build_network, stored_settings

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
    NotThisKind
        If it is no checkpoint of mlip-train.
    """
    state = plain_contents(path, "mlip-train")
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise NotThisKind(f"{path}: expected a checkpoint of mlip-train in format {FORMAT}")
    state["network"] = stored_settings(state["network"])
    return state


def plain_contents(path: str | Path, command: str) -> Any:
    """Return what a file of torch.save holds, if it is plain tensors and values; nothing of the file is run.

    Parameters
    ----------
    path : path
    command : str
        Whose checkpoint is expected, for messages.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    NotThisKind
        If it is another file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a checkpoint of {command}, found nothing at {path}")
    try:
        with warnings.catch_warnings():
            # that a file is a model is not worth a word here
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:
        reason = str(e)
        if "weights_only" in reason:  # torch advises to run the file
            reason = "it holds more than plain tensors and values, as TorchScript files and foreign checkpoints do"
        raise NotThisKind(
            f"{path}: expected a checkpoint of {command}, got another file: {reason}"
        ) from e


def open_checkpoint(path: str | Path) -> Exportable:
    """Return the averaged network of a checkpoint and what is known of it, for mlip-export.

    Raises
    ------
    FileNotFoundError, NotThisKind
        As :func:`read_checkpoint`.
    """
    state = read_checkpoint(path)
    network = build_network(state["network"])
    network.load_state_dict(state["average"])
    return Exportable(
        network,
        shortest_distances=with_margin(state["metadata"]["training"].get("shortest_distances", {})),
        data_range=range_in_record(state["metadata"]["training"]),
        reference_energies=dict(state["reference_energies"]),
        scale=state["scale"],
        **state["metadata"],
    )
