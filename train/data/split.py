"""Which structures are trained on, which validate and which test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols


def elements_in(structures: Iterable[Atoms]) -> list[frozenset[int]]:
    """Return the atomic numbers that occur in each structure."""
    return [frozenset(atoms.numbers.tolist()) for atoms in structures]


def split_indices(
    elements: Sequence[frozenset[int]],
    n_validation: int,
    n_test: int,
    seed: int,
    excluded: set[int],
) -> dict[str, list[int]]:
    """Return disjoint ``train``, ``validation`` and ``test`` indices.

    A structure that would take the last of an element away from training is trained on, and the next one in the random
    order takes its place: a network has no weights for an element that it has not been trained on.

    Parameters
    ----------
    elements : sequence of frozenset of int
        Atomic numbers in each structure, as of :func:`elements_in`.
    n_validation, n_test : int
        Numbers of structures that are not trained on.
    seed : int
        Of the random order.
    excluded : set of int
        Indices of structures that are in no part.

    Raises
    ------
    ValueError
        If nothing is left to train on, or too many structures are the only ones with an element.
    """
    order = np.random.default_rng(seed).permutation(len(elements))
    kept = [int(k) for k in order if int(k) not in excluded]
    n_held_out = n_validation + n_test
    if len(kept) <= n_held_out:
        raise ValueError(
            f"expected more than {n_held_out} structures (validation and test), "
            f"got {len(kept)}; lower n_validation and n_test in the recipe"
        )
    n_trained = Counter(z for k in kept for z in elements[k])  # structures with the element
    held_out: list[int] = []
    for k in kept:
        if len(held_out) == n_held_out:
            break
        if all(n_trained[z] > 1 for z in elements[k]):
            held_out.append(k)
            n_trained.subtract(elements[k])
    if len(held_out) < n_held_out:
        rare = sorted(z for z, n in n_trained.items() if n == 1)
        raise ValueError(
            f"expected {n_held_out} structures for validation and test whose elements are also in others, got "
            f"{len(held_out)}: only one of the remaining structures has {[chemical_symbols[z] for z in rare]}; lower "
            "n_validation and n_test in the recipe, or add structures with these elements"
        )
    return {
        "test": sorted(held_out[:n_test]),
        "validation": sorted(held_out[n_test:]),
        "train": sorted(set(kept) - set(held_out)),
    }


GROUP = "group"
