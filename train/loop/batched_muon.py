"""Muon for many small matrices: those of one shape are made orthogonal together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import Muon

# One matrix product of 64 x 64 numbers takes no longer than the call of it.
_TINY = 1e-7


def orthogonalised(
    matrices: Tensor, coefficients: Sequence[float], steps: int, eps: float = _TINY
) -> Tensor:
    """Return matrices with the same singular vectors and singular values near 1, by Newton-Schulz iterations.

    Parameters
    ----------
    matrices : (B, m, n) tensor
    coefficients : sequence of three floats
        a, b, c of the iteration s -> a s + b s^3 + c s^5 of each singular value s.
    steps : int
        Number of iterations.
    eps : float
        Smallest norm that a matrix is divided by.

    Returns
    -------
    (B, m, n) tensor

    References
    ----------
    Jordan et al. 2024, https://kellerjordan.github.io/posts/muon.
    """
    a, b, c = coefficients
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if is_tall else matrices
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if is_tall else x


class BatchedMuon(Muon):
    """:class:`torch.optim.Muon` with the steps of all matrices of a shape in one: the same numbers but for rounding.

    The iterations are in float32 on a CPU, where bfloat16 is fast on few, and in bfloat16 on a GPU.
    """

    @torch.no_grad()
    def step(self, closure=None):  # noqa: D102
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._step(group, parameters)
        return loss

    def _step(self, group: dict, parameters: list[Tensor]) -> None:
        gradients = [p.grad for p in parameters]
        for p in parameters:
            if "momentum_buffer" not in self.state[p]:
                self.state[p]["momentum_buffer"] = torch.zeros_like(p.grad)
        buffers = [self.state[p]["momentum_buffer"] for p in parameters]
        rate, momentum = float(group["lr"]), group["momentum"]
        torch._foreach_lerp_(buffers, gradients, 1.0 - momentum)
        updates = (
            torch._foreach_lerp(gradients, buffers, momentum) if group["nesterov"] else buffers
        )
        by_shape: dict[torch.Size, list[int]] = {}
        for k, update in enumerate(updates):
            by_shape.setdefault(update.shape, []).append(k)
        torch._foreach_mul_(parameters, 1.0 - rate * group["weight_decay"])
        for shape, members in by_shape.items():
            stacked = torch.stack([updates[k] for k in members])
            if stacked.is_cuda:
                stacked = stacked.bfloat16()
            made = orthogonalised(
                stacked, group["ns_coefficients"], group["ns_steps"], group["eps"]
            )
            # the length of a step of AdamW (Liu et al. 2025, arXiv:2502.16982)
            length = 0.2 * math.sqrt(max(shape))
            torch._foreach_add_(
                [parameters[k] for k in members],
                list(made.to(parameters[members[0]].dtype).unbind()),
                alpha=-rate * length,
            )
