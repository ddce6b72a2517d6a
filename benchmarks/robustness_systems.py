"""The data sets of a comparison of robustness, and what is particular to each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms


@dataclass(frozen=True)
class System:
    """What is particular to a data set."""

    cutoff: float  # Å
    temperature_K: float
    step_fs: float
    hold_out: (
        str  # key of the data; a tenth of its values is the test set, or those that are "test"
    )
    fewest: int  # atoms of a structure to start from; smaller ones are repeated
    most: int
    batch: int


SYSTEMS = {
    "silica": System(4.5, 2000.0, 2.0, "config_type", 20, 48, 1),
    "alloy": System(4.5, 3000.0, 2.0, "split", 16, 54, 2),
}


def divided(frames: Sequence[Atoms], key: str) -> tuple[list[Atoms], list[Atoms]]:
    """Return structures to train on and to test on, by whole groups."""
    values = sorted({a.info[key] for a in frames})
    if "test" in values:
        held = {"test"}
    else:
        order = np.random.default_rng(1).permutation(values)
        held = set(order[: max(len(values) // 10, 1)].tolist())
    return (
        [a for a in frames if a.info[key] not in held],
        [a for a in frames if a.info[key] in held],
    )


def repeated(atoms: Atoms, fewest: int) -> Atoms:
    """Return a structure with at least so many atoms, repeated along its shortest vector until it has them."""
    while len(atoms) < fewest:
        times = [1, 1, 1]
        times[int(np.argmin(atoms.cell.lengths()))] = 2
        atoms = atoms.repeat(times)
    return atoms
