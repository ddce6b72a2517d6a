"""Perturbed copies of many structures, made by several processes and written as they come."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from ase import Atoms

from mlip_engines.labels.labelling import write_labelled
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.robust.perturbation import Perturbation, check_size, perturbed


def perturb(
    structures: Sequence[Atoms], settings: Perturbation, path: Path, *, workers: int = 1
) -> tuple[list[float], list[float]]:
    """Write all rounds of all structures to an extended XYZ file; an interruption leaves none, or the one before.

    Parameters
    ----------
    structures : sequence of ase.Atoms
    settings : Perturbation
    path : Path
    workers : int
        Processes. The file is the same for any number of them.

    Returns
    -------
    before, after : lists of float, Å
        Shortest distance of each structure and of each copy.

    Raises
    ------
    ValueError
        As :func:`mlip_train.robust.perturbation.perturbed`, with the index of the structure; before anything is written
        if it is about single atoms or small cells.
    """
    if workers < 1:
        raise ValueError(f"workers must be positive, got {workers}")
    if not structures:
        raise ValueError("expected at least one structure to perturb, got none")
    for k, atoms in enumerate(structures):
        try:
            check_size(atoms, settings)
        except ValueError as e:
            raise ValueError(f"structure {k}: {e}") from e
    after: list[float] = []

    def watched() -> Iterator[Atoms]:
        for copies in _copies(structures, settings, workers):
            for atoms in copies:
                after.append(shortest_distance(atoms))
                yield atoms

    write_labelled(path, watched(), len(structures) * settings.rounds)
    return [shortest_distance(atoms) for atoms in structures], after


def _copies(
    structures: Sequence[Atoms], settings: Perturbation, workers: int
) -> Iterator[list[Atoms]]:
    """Yield the copies of each structure, in order."""
    work = partial(_of_one, settings=settings)
    if workers == 1:
        yield from map(work, enumerate(structures))
        return
    # A fork would copy the threads of torch in an unknown state.
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(work, enumerate(structures), chunksize=8)


def _of_one(numbered: tuple[int, Atoms], settings: Perturbation) -> list[Atoms]:
    index, atoms = numbered
    try:
        return list(perturbed(atoms, settings, index))
    except ValueError as e:
        raise ValueError(f"structure {index}: {e}") from e


def shortest_distance(atoms: Atoms) -> float:
    """Return the smallest distance between two atoms, images included, Å; infinity without any within 12 Å."""
    for reach in (2.0, 4.0, 12.0):
        lengths = neighbor_graph(atoms, reach).edge_vectors.norm(dim=1)
        if len(lengths):
            return float(lengths.min())
    return float(np.inf)
