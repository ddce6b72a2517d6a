"""Which structures are trained on, which validate and which test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from ase import Atoms


def duplicate_indices(structures: Iterable[Atoms]) -> set[int]:
    """Return the indices of structures that repeat an earlier one exactly."""
    seen: set[bytes] = set()
    repeated = set()
    for k, atoms in enumerate(structures):
        key = hashlib.sha256(
            atoms.numbers.tobytes() + atoms.positions.round(5).tobytes() + atoms.cell.tobytes()
        ).digest()
        if key in seen:
            repeated.add(k)
        seen.add(key)
    return repeated


def split_indices(
    n_structures: int, n_validation: int, n_test: int, seed: int, excluded: set[int]
) -> dict[str, list[int]]:
    """Return disjoint ``train``, ``validation`` and ``test`` indices; depends on nothing else.

    Raises
    ------
    ValueError
        If nothing is left to train on.
    """
    order = np.random.default_rng(seed).permutation(n_structures)
    kept = [int(k) for k in order if int(k) not in excluded]
    if len(kept) <= n_validation + n_test:
        raise ValueError(
            f"expected more than {n_validation + n_test} structures (validation and test), "
            f"got {len(kept)}; lower n_validation and n_test in the recipe"
        )
    return {
        "test": sorted(kept[:n_test]),
        "validation": sorted(kept[n_test : n_test + n_validation]),
        "train": sorted(kept[n_test + n_validation :]),
    }
