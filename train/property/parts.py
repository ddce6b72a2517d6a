"""Which structures are trained on, which validate and which test."""

from __future__ import annotations

import random
from collections.abc import Collection

from mlip_train.data.division import divide
from mlip_train.data.sets import OpenedSets
from mlip_train.data.tags import SPLIT
from mlip_train.property.settings import Settings


def parts_of(
    frames: OpenedSets, settings: Settings, left_out: Collection[int]
) -> dict[str, list[int]]:
    """Return indices by part: of files, of ``split_key``, or at random; ``n_train`` of the first if it is set.

    Raises
    ------
    ValueError
        If fewer structures are there to train on than asked for, or as :func:`mlip_train.data.division.divide`.
    """
    for k in range(len(frames)):
        atoms = frames[k]
        if settings.split_key != SPLIT and settings.split_key in atoms.info:
            atoms.info[SPLIT] = atoms.info[settings.split_key]
    parts = divide(
        frames, n_validation=settings.n_validation, n_test=settings.n_test, seed=settings.seed
    ).parts
    parts = {name: [k for k in part if k not in left_out] for name, part in parts.items()}
    n = settings.n_train
    if n > len(parts["train"]):
        raise ValueError(f"expected {n} structures to train on, got {len(parts['train'])}")
    if n > 0:
        parts["train"] = sorted(random.Random(settings.seed).sample(parts["train"], n))
    return parts
