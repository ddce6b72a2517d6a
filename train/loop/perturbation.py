"""Small displacements of all atoms, at random or towards the stiff modes of the model itself."""

from __future__ import annotations

import torch
from ase.data import atomic_masses
from torch import Tensor, nn

from mlip_train.data.batching import collate
from mlip_train.data.structure import TrainingStructure
from mlip_train.loop.prediction import predict

MASSES = torch.tensor(atomic_masses)


def random_displacements(
    structures: list[TrainingStructure], length: float, generator: torch.Generator
) -> list[Tensor]:
    """Draw displacements (N, 3) with standard deviation ``length`` (Å) per component."""
    return [
        length * torch.randn(item.positions.shape, generator=generator, dtype=torch.float64)
        for item in structures
    ]


def stiff_displacements(
    network: nn.Module,
    structures: list[TrainingStructure],
    displacements: list[Tensor],
    baseline: Tensor,
    length: float,
) -> list[Tensor]:
    """Turn displacements towards the modes of highest frequency: one step of power iteration.

    What a displacement u changes in the forces is -H u, with H the Hessian of the energy; M^-1 H u has the stiff modes
    in proportion to their squared frequencies. These modes have the fewest outer steps per period, so the slope of
    C - NC along them decides where r-RESPA becomes unstable.

    Returns
    -------
    list of (N, 3) tensors, Å
        Root mean square ``length`` per component.
    """
    first = next(network.parameters())
    batch = collate(
        structures, baseline, network.cutoff, first.dtype, displacements, device=first.device
    )
    forces = predict(
        network, batch, 1.0, differentiate=True, with_non_conservative=False, create_graph=False
    ).conservative
    before, after = forces.detach().double().cpu().chunk(2)
    masses = torch.cat([MASSES[item.atomic_numbers] for item in structures])  # (N,)
    turned = (after - before) / masses[:, None]
    turned = turned.split([len(item.positions) for item in structures])
    return [length * u / u.pow(2).mean().sqrt().clamp(min=1e-12) for u in turned]
