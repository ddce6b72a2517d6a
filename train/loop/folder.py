"""The folder of a run: new, or with a run in it that is resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlip_train.loop.checkpoint import read_checkpoint
from mlip_train.machine.processes import Processes


def open_folder(output: Path, processes: Processes, *, resume: bool) -> dict[str, Any] | None:
    """Return the state to resume, None for a new run."""
    checkpoint = output / "checkpoint.pt"
    if checkpoint.exists() and not resume:
        raise FileExistsError(f"{output} holds a run; continue it with --resume or choose another")
    if resume and not checkpoint.exists():
        raise FileNotFoundError(f"expected a run to resume, found no {checkpoint}")
    processes.wait()
    output.mkdir(parents=True, exist_ok=True)
    if not resume:
        return None
    state = read_checkpoint(checkpoint)
    if "history" not in state:
        raise ValueError(
            f"{output}: expected a run of this version to resume, got an older one; begin another with "
            f"--from {checkpoint}"
        )
    return state


def check_same_data(now: dict[str, Any], before: dict[str, Any], output: Path) -> None:
    """Refuse to resume with other data: the split would mean other structures."""
    for name in ("data_sha256", "unlabelled_sha256", "replay_sha256"):
        if now.get(name) != before.get(name):
            raise ValueError(
                f"{output}: expected the data of the run to resume, got another or changed file ({name}); give the "
                "same, or begin another run with --from"
            )
