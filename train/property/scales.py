"""What a property is without a network: its mean and spread, or what each element adds to it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Scales(nn.Module):
    """Turn numbers of order one into properties.

    Extensive properties have a value per element, the least squares fit to the training data, beside a spread per
    atom; others have a mean and a standard deviation.

    Parameters
    ----------
    n_targets : int
    is_extensive : bool
    """

    def __init__(self, n_targets: int, *, is_extensive: bool):
        super().__init__()
        self.is_extensive = is_extensive
        self.register_buffer("mean", torch.zeros(n_targets, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(n_targets, dtype=torch.float64))
        self.register_buffer("per_element", torch.zeros((119, n_targets), dtype=torch.float64))

    def fit(self, numbers: list[Tensor], values: Tensor) -> None:
        """Fit to atomic numbers (N,) of each structure and values (S, T), NaN where one is missing."""
        counts = torch.stack([torch.bincount(z, minlength=119) for z in numbers]).double()
        for k, known in enumerate(~torch.isnan(values.T)):
            composition, value = counts[known], values[known, k]
            if self.is_extensive:
                # of all least squares solutions the smallest: elements that always come together share
                fitted = torch.linalg.lstsq(composition, value[:, None], driver="gelsd").solution
                self.per_element[:, k] = fitted[:, 0]
                rest = (value - composition @ fitted[:, 0]) / composition.sum(dim=1)
            else:
                self.mean[k] = value.mean()
                rest = value - self.mean[k]
            # all the same: there is nothing to scale by
            spread = rest.square().mean().sqrt()
            self.spread[k] = spread if float(spread) > 1e-12 else 1.0

    def forward(self, pooled: Tensor, numbers: Tensor, structure: Tensor) -> Tensor:
        """Return properties (S, T), float64, from numbers of order one (S, T)."""
        known = self.mean + self.spread * pooled.double()
        if not self.is_extensive:
            return known
        return known.index_add(0, structure, self.per_element[numbers])
