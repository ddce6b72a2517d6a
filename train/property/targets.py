"""The values that are learned, from the comment lines of structures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from torch import Tensor


def read_targets(structures: Sequence[Atoms], names: Sequence[str]) -> tuple[Tensor, list[str]]:
    """Return the targets (S, T), NaN where one is missing, and a sentence on each that some structures lack.

    Raises
    ------
    ValueError
        If a target is not a single number, or no structure has it; the message lists what structures have.
    """
    values = torch.full((len(structures), len(names)), torch.nan, dtype=torch.float64)
    for k, atoms in enumerate(structures):
        for n, name in enumerate(names):
            given = atoms.info.get(name)
            if given is None:
                continue
            try:
                number = float(np.asarray(given, dtype=np.float64).reshape(()))
            except (TypeError, ValueError) as e:
                raise ValueError(
                    f"structure {k}: expected one number for {name!r}, got {given!r}; for a vector, write its length "
                    "or its components under names of their own"
                ) from e
            if np.isfinite(number):  # nan is how tables say that there is none
                values[k, n] = number
    notes = []
    for n, name in enumerate(names):
        missing = torch.nonzero(torch.isnan(values[:, n]))[:, 0].tolist()
        if len(missing) == len(structures):
            has = sorted({str(key) for atoms in structures[:100] for key in atoms.info})
            raise ValueError(
                f"expected the target {name!r} of some structure, got none; they have {has}"
            )
        if missing:
            shown = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
            notes.append(f"{name}: {len(missing)} structures have none and do without: {shown}")
    return values, notes
