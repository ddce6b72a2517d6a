"""Edges by centre, as the sums over neighbours take them."""

import torch
from torch import Tensor
from torch.nn import functional


def first_edges(centre: Tensor, n: int) -> Tensor:
    """Return where the edges of each of n centres begin, and where the last end (n + 1,), from sorted centres (E,)."""
    counts = torch.bincount(centre, minlength=n)  # (n,)
    return functional.pad(torch.cumsum(counts, 0), [1, 0])  # (n + 1,)
