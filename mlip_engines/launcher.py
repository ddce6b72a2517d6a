"""What MPI launchers tell a process before MPI itself has started."""

from __future__ import annotations

import os
from collections.abc import Mapping

_RANKS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "SLURM_PROCID")
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
_PREFIXES = (
    *("PMI_", "PMIX_", "OMPI_", "MV2_", "HYDI_", "MPIR_", "I_MPI_", "PALS_"),
    *("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)


def is_first() -> bool:
    """Return whether no launcher says that this process is another than the first."""
    return all(os.environ.get(name, "0") == "0" for name in _RANKS)


def may_be_several() -> bool:
    """Return whether a launcher has, or may have, started several processes: PMIx does not say how many."""
    sizes = [int(os.environ[name]) for name in _SIZES if name in os.environ]
    return max(sizes) > 1 if sizes else "PMIX_RANK" in os.environ


def without_launcher(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for an MPI program that is not to believe that it is this process."""
    return {k: v for k, v in environment.items() if not k.startswith(_PREFIXES)}
