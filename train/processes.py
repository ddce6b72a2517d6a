"""Several training processes that share their gradients (torchrun)."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist


class Processes:
    """The processes of a run; one process alone is the ordinary case."""

    def __init__(self) -> None:
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        if self.count > 1:
            dist.init_process_group("gloo")

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter], progress: float) -> float:
        """Average the gradients over all processes, and the progress of a timed stage with them."""
        if self.count == 1:
            return progress
        with_gradient = list(parameters)
        flat = torch.cat(
            [
                (p.grad if p.grad is not None else torch.zeros_like(p)).flatten()
                for p in with_gradient
            ]
            + [torch.tensor([progress])]
        )
        dist.all_reduce(flat)
        flat /= self.count
        start = 0
        for p in with_gradient:
            p.grad = flat[start : start + p.numel()].view_as(p).clone()
            start += p.numel()
        return float(flat[-1])

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            dist.barrier()

    def close(self) -> None:
        """Leave the group."""
        if self.count > 1:
            dist.destroy_process_group()
