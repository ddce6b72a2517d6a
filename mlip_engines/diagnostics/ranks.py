"""Independent runs on the processes of an MPI launcher, if there is one."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Protocol

from mlip_engines.launcher import is_first, may_be_several


class Ranks(Protocol):
    """What is used of a communicator."""

    rank: int
    size: int

    def barrier(self) -> None:
        """Wait for all."""
        ...

    def abort(self, reason: str) -> None:
        """End all processes; the reason is said first."""
        ...


class Alone:
    """A single process."""

    rank, size = 0, 1

    def barrier(self) -> None:
        """Nobody to wait for."""

    def abort(self, reason: str) -> None:
        """Nobody to end: the caller raises."""


class MpiRanks:
    """The processes of ``mpiexec``, through mpi4py."""

    def __init__(self):
        from mpi4py import MPI

        self._world = MPI.COMM_WORLD
        self.rank, self.size = self._world.Get_rank(), self._world.Get_size()

    def barrier(self) -> None:
        """Wait for all, without taking a core from those that still work."""
        request = self._world.Ibarrier()
        while not request.Test():
            time.sleep(0.02)

    def abort(self, reason: str) -> None:
        """End all processes: they would wait for this one forever."""
        print(f"mlip-validate: process {self.rank}: {reason}", file=sys.stderr, flush=True)
        self._world.Abort(1)


def ranks() -> Ranks:
    """Return the processes that this one was started with.

    Raises
    ------
    ImportError
        If there are several and mpi4py is not installed, or it was built for another MPI library than the launcher's;
        the message says what to do.
    """
    if not may_be_several():
        return Alone()
    try:
        found = MpiRanks()
    except ImportError as e:
        raise ImportError(
            "started by an MPI launcher, but mpi4py is not installed: pip install 'mlip-engines[mpi]', "
            "or start one process"
        ) from e
    if found.size == 1 and not is_first():  # each would run everything, in the same folder
        raise ImportError(
            "the launcher started several processes, and mpi4py sees one: they belong to two MPI libraries. Use the "
            "mpiexec of the environment that mpi4py is in, or start one process"
        )
    return found


def share(costs: Sequence[float], n_ranks: int) -> list[int]:
    """Return the rank of each job: the longest goes first, each to the rank that has least to do.

    Graham, SIAM J. Appl. Math. 17, 416 (1969): the last rank ends at most a third later than it could.
    """
    ranks_of, loads = [0] * len(costs), [0.0] * n_ranks
    for job in sorted(range(len(costs)), key=lambda k: -costs[k]):
        ranks_of[job] = min(range(n_ranks), key=lambda rank: loads[rank])
        loads[ranks_of[job]] += costs[job]
    return ranks_of
