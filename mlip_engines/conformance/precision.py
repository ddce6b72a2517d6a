"""How far two ways to the same number may differ, by the dtype in which a network computes."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Precision:
    """Steps and tolerances of the checks for one dtype."""

    equal: float  # relative, of two evaluations of the same thing: they differ by the order of sums
    step: float  # Å, how far atoms move at first where energies are differentiated
    halvings: int  # of this step, at most
    derivative: float  # error of a difference of energies, relative to the largest force or virial
    margin: float  # relative, how close to the cutoff the last edge is
    jump: float  # relative, allowed when this edge goes
    hessian_step: float  # Å, how far atoms move where forces are differentiated


PRECISION = {
    torch.float64: Precision(
        equal=1e-9,
        step=2e-3,
        halvings=8,
        derivative=1e-6,
        margin=1e-8,
        jump=1e-6,
        hessian_step=1e-4,
    ),
    torch.float32: Precision(
        equal=1e-4,
        step=2e-2,
        halvings=3,
        derivative=2e-2,
        margin=1e-6,
        jump=1e-4,
        hessian_step=2e-3,
    ),
}
