"""Which structures are trained on, which validate and which test."""

from __future__ import annotations

import random
from collections.abc import Collection

from mlip_train.data.division import Division, divide
from mlip_train.data.sets import OpenedSets
from mlip_train.data.tags import SPLIT
from mlip_train.property.settings import Settings


def parts_of(frames: OpenedSets, settings: Settings, left_out: Collection[int]) -> Division:
    """Return indices by part: of files, of ``split_key``, or at random; ``n_train`` of the first if it is set.

    Raises
    ------
    ValueError
        If no structure has ``split_key``, fewer are there to train on than asked for, or as
        :func:`mlip_train.data.division.divide`.
    """
    has_key = any(settings.split_key in frames[k].info for k in range(len(frames)))
    if settings.split_key != SPLIT and not has_key:
        raise ValueError(
            f"--split-key: expected structures with the key {settings.split_key!r}, got none; in extended XYZ it is "
            f"{settings.split_key}=train, valid or test in the comment line"
        )
    for k in range(len(frames)):
        atoms = frames[k]
        if settings.split_key != SPLIT and settings.split_key in atoms.info:
            atoms.info[SPLIT] = atoms.info[settings.split_key]
    division = divide(
        frames, n_validation=settings.n_validation, n_test=settings.n_test, seed=settings.seed
    )
    parts = {name: [k for k in part if k not in left_out] for name, part in division.parts.items()}
    n = settings.n_train
    if n > len(parts["train"]):
        raise ValueError(f"expected {n} structures to train on, got {len(parts['train'])}")
    if n > 0:
        parts["train"] = sorted(random.Random(settings.seed).sample(parts["train"], n))
    return Division(parts, division.notes)
