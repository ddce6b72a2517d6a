"""With what a run was made: versions, device, processes; one entry each time it was started."""

from __future__ import annotations

import json
import platform
import sys
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import torch

from mlip_train.machine.processes import Processes

PACKAGES = ("mlip-engines", "torch", "numpy", "ase", "vesin-torch")


def add_environment(path: Path, processes: Processes, workers: int) -> None:
    """Append what runs now to the list in a JSON file."""
    starts = json.loads(path.read_text()) if path.is_file() else []
    device = processes.device
    starts.append(
        {
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "command": sys.argv,
            "python": platform.python_version(),
            "system": platform.platform(),
            **{name: version(name) for name in PACKAGES},
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "processes": processes.count,
            "workers": workers,
            "threads": torch.get_num_threads(),
        }
    )
    path.write_text(json.dumps(starts, indent=2))
