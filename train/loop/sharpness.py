"""Sharpness-aware minimisation: the gradient is taken where the loss is highest nearby.

Foret, Kleiner, Mobahi, Neyshabur, ICLR 2021 (arXiv:2010.01412).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


@torch.no_grad()
def climb(parameters: Sequence[nn.Parameter], radius: float) -> list[Tensor]:
    """Move parameters by ``radius`` along their gradient, all of them as one vector of this length.

    Returns
    -------
    list of tensors
        The values before, for :func:`descend`: subtracting the step again would leave a rounding error.
    """
    before = [p.detach().clone() for p in parameters]
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    for p in parameters:
        if p.grad is not None:
            p.add_(p.grad * (radius / (norm + 1e-12)))
    return before


@torch.no_grad()
def descend(parameters: Sequence[nn.Parameter], before: Sequence[Tensor]) -> None:
    """Put parameters back; the gradients stay those of where they were."""
    for p, value in zip(parameters, before, strict=True):
        p.copy_(value)
