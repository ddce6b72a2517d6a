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
    *,
    trained: set[int] | None = None,
    groups: Sequence[str | None] | None = None,
) -> dict[str, list[int]]:
    """Return disjoint ``train``, ``validation`` and ``test`` indices.

    A structure that would take the last of an element away from training is trained on, and the next one in the random
    order takes its place: a network has no weights for an element that it has not been trained on.

    Parameters
    ----------
    elements : sequence of frozenset of int
        Atomic numbers in each structure, as of :func:`elements_in`.
    n_validation, n_test : int
        Numbers of structures that are not trained on; with groups, at least so many.
    seed : int
        Of the random order.
    excluded : set of int
        Indices of structures that are in no part.
    trained : set of int, optional
        Indices of structures that are trained on in any case.
    groups : sequence of str or None, optional
        The group of each structure. Structures of one group are in one part; None is a group of its own.

    Raises
    ------
    ValueError
        If nothing is left to train on, or too many structures are the only ones with an element.
    """
    trained = trained or set()
    order = np.random.default_rng(seed).permutation(len(elements))
    kept = [int(k) for k in order if int(k) not in excluded]
    n_held_out = n_validation + n_test
    if len(kept) <= n_held_out:
        raise ValueError(
            f"expected more than {n_held_out} structures (validation and test), "
            f"got {len(kept)}; lower n_validation and n_test in the recipe"
        )
    members = _members(kept, groups)
    n_trained = Counter(z for k in kept for z in elements[k])  # structures with the element
    parts: dict[str, list[int]] = {"test": [], "validation": []}
    wanted = {"test": n_test, "validation": n_validation}
    seen: set[int] = set()
    for k in kept:
        part = next((p for p in parts if len(parts[p]) < wanted[p]), None)
        if part is None:
            break
        group = members.get(k, [k])
        if k in seen or trained.intersection(group):
            continue
        seen.update(group)
        needed = Counter(z for j in group for z in elements[j])
        if all(n_trained[z] > n for z, n in needed.items()):
            parts[part] += group
            n_trained.subtract(needed)
    if any(len(parts[p]) < wanted[p] for p in parts):
        rare = sorted(z for z, n in n_trained.items() if n == 1)
        whole = " and groups stay together" if groups is not None else ""
        raise ValueError(
            f"expected {n_held_out} structures for validation and test whose elements are also in others, got "
            f"{sum(len(part) for part in parts.values())}: only one of the remaining structures has "
            f"{[chemical_symbols[z] for z in rare]}{whole}; lower n_validation and n_test in the recipe, or add "
            "structures with these elements"
        )
    held_out = {k for part in parts.values() for k in part}
    return {
        "test": sorted(parts["test"]),
        "validation": sorted(parts["validation"]),
        "train": sorted(set(kept) - held_out),
    }


def _members(kept: list[int], groups: Sequence[str | None] | None) -> dict[int, list[int]]:
    """Return all structures of the group of each structure that has one."""
    if groups is None:
        return {}
    by_name: dict[str, list[int]] = {}
    for k in kept:
        if groups[k] is not None:
            by_name.setdefault(groups[k], []).append(k)
    return {k: group for group in by_name.values() for k in group}
