"""How a run uses its machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """Device, processes and memory of a run; none of it changes the numbers but the device, by rounding."""

    device: str = "auto"  # cpu, cuda, auto
    workers: int = 0  # processes that make neighbour lists
    is_lazy: bool = False  # structures and neighbour lists are not kept in memory
