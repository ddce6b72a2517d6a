"""Edges as a rectangle: one row per centre, padded to the largest number of neighbours."""

import torch
from torch import Tensor


def neighbor_ranks(centre: Tensor, n_atoms: int) -> tuple[Tensor, int]:
    """Position (E,) of each edge among those of its centre, and the largest number of neighbours J.

    Edges are sorted by ``centre`` (E,), as the contract has it.
    """
    counts = torch.bincount(centre, minlength=n_atoms)  # (N,)
    width = int(counts.max().item()) if centre.size(0) > 0 else 0  # J
    first = torch.cumsum(counts, 0) - counts  # (N,)
    rank = torch.arange(centre.size(0), device=centre.device) - first[centre]  # (E,)
    return rank, width


def pad(values: Tensor, slot: Tensor, n_slots: int) -> Tensor:
    """Put ``values`` (M, F) into the rows ``slot`` (M,) of a tensor (n_slots, F) of zeros."""
    rows = torch.zeros((n_slots, values.size(1)), dtype=values.dtype, device=values.device)
    return rows.index_copy_(0, slot, values)  # (n_slots, F), in place: nobody else has the zeros
