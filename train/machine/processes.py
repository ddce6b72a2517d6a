"""Several training processes that share their gradients (torchrun)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

from mlip_train.machine.precision import choose_device

# The others wait while the first validates, longer than torch's 10 minutes for a large set. When a process dies,
# torchrun ends the rest at once.
_PATIENCE = timedelta(hours=12)


class Processes:
    """The processes of a run, each with its device; one process alone is the ordinary case.

    Parameters
    ----------
    device : {"cpu", "cuda", "auto"}
        As of :func:`mlip_train.machine.precision.choose_device`.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.device = choose_device(device, int(os.environ.get("LOCAL_RANK", "0")))
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        if self.count > 1:
            backend = "nccl" if self.device.type == "cuda" else "gloo"
            dist.init_process_group(backend, timeout=_PATIENCE)

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def average_gradients(self, parameters: Sequence[nn.Parameter], progress: float) -> float:
        """Average the gradients over all processes, and the progress of a timed stage with them."""
        if self.count == 1:
            return progress
        parts = [(p.grad if p.grad is not None else torch.zeros_like(p)) for p in parameters]
        # A parameter without a gradient anywhere keeps none: with a zero, its weight would decay.
        numbers = [progress, *(float(p.grad is not None) for p in parameters)]
        flat = torch.cat(
            [torch.tensor(numbers, device=self.device)] + [part.flatten() for part in parts]
        )
        dist.all_reduce(flat)
        flat /= self.count
        start = len(numbers)
        is_used = (flat[1:start] > 0.0).tolist()
        for p, used in zip(parameters, is_used, strict=True):
            p.grad = flat[start : start + p.numel()].view_as(p).clone() if used else None
            start += p.numel()
        return float(flat[0])

    def of_the_first(self, numbers: Sequence[float]) -> list[float]:
        """Return the numbers that the first process has given, in all of them."""
        if self.count == 1:
            return list(numbers)
        shared = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.broadcast(shared, src=0)
        return [float(x) for x in shared]

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            dist.barrier()

    def close(self) -> None:
        """Leave the group."""
        if self.count > 1:
            dist.destroy_process_group()
