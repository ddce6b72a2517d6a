"""In which arithmetic a network is trained, and on which device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Precision:
    """What the names in a recipe mean."""

    dtype: torch.dtype  # of weights and features
    matmul: str  # of torch.set_float32_matmul_precision
    autocast: bool  # matrix products in bfloat16 while training


# Weights, sums over atoms, derivatives, validation and test are never in less than float32.
PRECISIONS = {
    "float64": Precision(torch.float64, "highest", False),
    "float32": Precision(torch.float32, "highest", False),
    "tf32": Precision(torch.float32, "high", False),  # on GPUs that have it; else float32
    "bfloat16": Precision(torch.float32, "highest", True),
}


@contextmanager
def matmul_precision(name: str) -> Iterator[None]:
    """Set the precision of float32 matrix products as long as the context lasts; it belongs to the whole process."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Return the device of a process.

    Parameters
    ----------
    name : {"cpu", "cuda", "auto"}
        ``auto`` is CUDA where there is a device, else the CPU.
    local_rank : int
        Index of the process on its machine; it takes the CUDA device of this index.

    Raises
    ------
    ValueError
        If there is no such device.
    """
    if name not in ("cpu", "cuda", "auto"):
        raise ValueError(f"device must be cpu, cuda or auto, got {name!r}")
    n_devices = torch.cuda.device_count() if name != "cpu" else 0
    if name == "cpu" or (name == "auto" and n_devices == 0):
        return torch.device("cpu")
    if local_rank >= n_devices:
        raise ValueError(
            f"expected a CUDA device for each process, got process {local_rank} of this machine and {n_devices} "
            "devices; start fewer with torchrun --nproc-per-node, or use --device cpu"
        )
    return torch.device("cuda", local_rank)
