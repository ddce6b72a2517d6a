"""Which structures make a step: every structure once an epoch, in random order, in batches of bounded size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class BatchLimits:
    """How much goes into a batch: a number of structures, or as many as stay within all limits that are positive."""

    structures: int = 1  # if the others are 0
    atoms: int = 0
    edges: int = 0

    @property
    def bounds_size(self) -> bool:
        """Whether structures count by their size."""
        return self.atoms > 0 or self.edges > 0

    def check(self, n_atoms: Sequence[int], n_edges: Sequence[int] | None) -> None:
        """Raise ValueError if a structure is larger than a batch may be; the message says which."""
        for name, limit, sizes in (
            ("atoms", self.atoms, n_atoms),
            ("edges", self.edges, n_edges),
        ):
            if limit > 0 and sizes is not None and len(sizes) and max(sizes) > limit:
                largest = max(range(len(sizes)), key=lambda k, sizes=sizes: sizes[k])
                raise ValueError(
                    f"batch_{name}: expected at least {sizes[largest]}, as many {name} as structure {largest} of a set "
                    f"has, got {limit}; raise it or leave such structures out"
                )


def batches_of_epoch(
    limits: BatchLimits,
    n_atoms: Sequence[int],
    n_edges: Sequence[int] | None,
    generator: torch.Generator,
) -> list[list[int]]:
    """Return the batches of an epoch, lists of indices.

    Parameters
    ----------
    limits : BatchLimits
    n_atoms : sequence of int
        Of each structure.
    n_edges : sequence of int or None
        Likewise; needed only if the limits have edges.
    generator : torch.Generator
        Decides the order.

    Returns
    -------
    list of lists of int
        With limits by size each structure is in one batch; else an incomplete last batch is left out, if there is
        another.
    """
    order = torch.randperm(len(n_atoms), generator=generator).tolist()
    if not limits.bounds_size:
        size = limits.structures
        batches = [order[k : k + size] for k in range(0, len(order), size)]
        return batches[:-1] if len(batches) > 1 and len(batches[-1]) < size else batches
    batches, atoms, edges = [], 0, 0
    for k in order:
        more_edges = n_edges[k] if n_edges is not None else 0
        fits = (limits.atoms == 0 or atoms + n_atoms[k] <= limits.atoms) and (
            limits.edges == 0 or edges + more_edges <= limits.edges
        )
        if not batches or not fits:
            batches.append([])
            atoms = edges = 0
        batches[-1].append(k)
        atoms, edges = atoms + n_atoms[k], edges + more_edges
    return batches
