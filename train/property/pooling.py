"""From atoms to a structure: the three ways to read one number from what all atoms give."""

from __future__ import annotations

import torch
from torch import Tensor, nn

POOLINGS = ("sum", "mean", "attention")


class Pooling(nn.Module):
    """A number per structure and target from features of atoms.

    ``sum`` adds what atoms give and grows with the structure: right for extensive properties such as an energy.
    ``mean`` divides by the number of atoms. ``attention`` weighs atoms by a softmax over the structure, for properties
    that a part of the structure decides, such as a gap.

    Parameters
    ----------
    n_features : int
    n_targets : int
    kind : {"sum", "mean", "attention"}

    Raises
    ------
    ValueError
        If there is no such kind.
    """

    def __init__(self, n_features: int, n_targets: int, kind: str):
        super().__init__()
        if kind not in POOLINGS:
            raise ValueError(f"pooling must be one of {list(POOLINGS)}, got {kind!r}")
        self.kind = kind
        self.values = nn.Sequential(
            nn.Linear(n_features, n_features), nn.SiLU(), nn.Linear(n_features, n_targets)
        )
        self.scores = (
            nn.Sequential(
                nn.Linear(n_features, n_features), nn.SiLU(), nn.Linear(n_features, n_targets)
            )
            if kind == "attention"
            else None
        )

    def forward(self, features: Tensor, structure: Tensor, n_atoms: Tensor) -> Tensor:
        """Return numbers (S, T) from features (N, F), the structure (N,) of each atom and sizes (S,)."""
        values = self.values(features)  # (N, T)
        zero = values.new_zeros((n_atoms.numel(), values.size(1)))
        if self.scores is not None:
            scores = self.scores(features)  # (N, T)
            index = structure[:, None].expand_as(scores)
            # less the largest of each structure: a softmax does not change, and no exponential overflows
            largest = torch.full_like(zero, -torch.inf).scatter_reduce(0, index, scores, "amax")
            weights = torch.exp(scores - largest[structure].detach())  # (N, T)
            total = zero.index_add(0, structure, weights)
            return zero.index_add(0, structure, weights * values) / total
        summed = zero.index_add(0, structure, values)
        return summed / n_atoms[:, None].to(summed.dtype) if self.kind == "mean" else summed
