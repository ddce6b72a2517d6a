"""Rows of a network's tables of elements."""

from collections.abc import Sequence

import torch
from torch import Tensor


def species_rows(species: Sequence[int]) -> Tensor:
    """Return the row (119,) int64 of each atomic number in the order of ``species``, -1 for all others."""
    rows = torch.full((119,), -1, dtype=torch.int64)
    rows[torch.tensor(species)] = torch.arange(len(species))
    return rows
