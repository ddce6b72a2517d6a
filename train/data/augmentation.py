"""Random orientations of labelled structures, for networks that are not equivariant."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from mlip_train.data.structure import TrainingStructure


def random_orthogonal(generator: torch.Generator) -> Tensor:
    """Draw a (3, 3) rotation, with an inversion in one of two cases, from the uniform (Haar) distribution.

    Columns of normal numbers have no preferred direction, nor have they when made orthogonal to each other. The
    factor R of the decomposition must have a positive diagonal, or the signs would depend on the algorithm.

    References
    ----------
    Mezzadri, Notices of the AMS 54, 592 (2007).
    """
    normal = torch.randn((3, 3), generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(normal)
    return q * torch.sign(torch.diagonal(r))  # (3, 3)


def turned(structure: TrainingStructure, turn: Tensor) -> TrainingStructure:
    """Turn positions, cell, forces and stress with an orthogonal matrix: r' = turn r. Energy and edges stay."""
    forces, stress = structure.forces, structure.stress
    if forces is not None:
        forces = (forces.to(turn.dtype) @ turn.T).to(forces.dtype)
    if stress is not None:
        stress = (turn @ stress.to(turn.dtype) @ turn.T).to(stress.dtype)
    before = structure.undisplaced_positions
    return replace(
        structure,
        positions=structure.positions @ turn.T,
        cell=structure.cell @ turn.T,
        forces=forces,
        stress=stress,
        undisplaced_positions=None if before is None else before @ turn.T,
        undisplaced_forces=None if before is None else structure.undisplaced_forces @ turn.T,
    )
