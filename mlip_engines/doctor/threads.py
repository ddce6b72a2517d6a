"""How many threads LAMMPS may use."""

from __future__ import annotations

import os

from mlip_engines.doctor.finding import Finding


def check_threads() -> Finding:
    """Look at OMP_NUM_THREADS."""
    number = os.environ.get("OMP_NUM_THREADS")
    if number is None:
        advice = "OMP_NUM_THREADS is not set: LAMMPS uses one; to use more: export OMP_NUM_THREADS"
        return Finding("note", "threads", f"{advice}={os.cpu_count()}")
    return Finding("ok", "threads", f"OMP_NUM_THREADS={number} of {os.cpu_count()} processors")
