"""What a fork does to the threads of torch.

A fork copies one thread only. The others of torch's OpenMP pool are gone in the child, and the first operation that
waits for them waits forever. With one thread there is no pool, so a child gets one.
"""

from __future__ import annotations

import os
import warnings
from functools import cache

import torch

_lost = 0  # threads that the parent had, in a child that has not been told yet


@cache
def survive_fork() -> None:
    """From here on, let processes that are forked from this one compute with one thread."""
    os.register_at_fork(after_in_child=_use_one_thread)


def _use_one_thread() -> None:
    global _lost
    if torch.get_num_threads() > 1:
        _lost = torch.get_num_threads()
        torch.set_num_threads(1)


def warn_if_forked() -> None:
    """Warn once in a child that has lost threads.

    Warns
    -----
    RuntimeWarning
        With what to do.
    """
    global _lost
    if _lost:
        n_threads, _lost = _lost, 0
        warnings.warn(
            f"this process was forked from one in which torch had {n_threads} threads. They do not survive a fork, so "
            "it computes with one. To have more, start processes by multiprocessing.get_context('spawn') instead; to "
            "avoid this warning, call torch.set_num_threads(1) before the fork",
            RuntimeWarning,
            stacklevel=3,
        )
