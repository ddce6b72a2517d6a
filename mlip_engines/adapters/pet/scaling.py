"""What metatrain does to the outputs of PET's layers: factors, and energies of free atoms that it adds.

Both are kept in tables of metatrain whose format changes between versions. They are read off what they do, from the
outputs with and without them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from ase.data import chemical_symbols
from metatomic.torch import ModelOutput, System
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists
from torch import Tensor, nn


@dataclass(frozen=True)
class Scaling:
    """Factors of the outputs, and what is added to the energy."""

    energy: float
    free_atoms: dict[str, float]  # eV
    forces: Tensor  # (119,) by atomic number
    stress: float


def scaling(model: nn.Module, targets: tuple[str, str, str]) -> Scaling:
    """Return factors and energies of free atoms of a model in float64.

    Raises
    ------
    ValueError
        If the energy does not follow from that of the layers by one factor and a sum over elements, direct forces by
        a factor per element, or the stress by one factor.
    """
    energy, forces, stress = targets
    numbers = torch.tensor([int(z) for z in model.atomic_types])
    asked = {name: ModelOutput(sample_kind="atom") for name in (energy, forces) if name}
    raw, full = [], []
    for seed in (1, 2):
        system = _chain(model, numbers, seed)
        for is_training, kept in ((True, raw), (False, full)):
            model.train(is_training)
            with torch.no_grad():
                output = model([system], asked)
            kept.append({name: output[name].block().values.double() for name in asked})
    before, after = ([pass_[energy].flatten() for pass_ in passes] for passes in (raw, full))
    factors = (after[1] - after[0]) / (before[1] - before[0])
    factor = float(factors.median())
    added = after[0] - factor * before[0]
    again = after[1] - factor * before[1]
    if not torch.allclose(added, again, rtol=0.0, atol=1e-8):
        raise ValueError(
            "expected the energy of metatrain to be that of its layers times one factor, plus an energy per element; "
            "it is not: please report it, with the version of metatrain"
        )
    by_number = torch.ones(119, dtype=torch.float64)
    if forces:
        ratio = full[0][forces] / raw[0][forces]
        by_number[numbers] = ratio.flatten(1).median(dim=1).values
        for layers, outputs in zip(raw, full, strict=True):
            own = by_number[numbers].reshape(-1, *[1] * (layers[forces].dim() - 1))  # (N, 1, ...)
            _check_scaled(own * layers[forces], outputs[forces], "direct forces")
    free = {chemical_symbols[z]: e for z, e in zip(numbers.tolist(), added.tolist(), strict=True)}
    return Scaling(factor, free, by_number, _of_stress(model, numbers, stress) if stress else 1.0)


def _of_stress(model: nn.Module, numbers: Tensor, name: str) -> float:
    raw, full = [], []
    for seed in (1, 2):
        system = _chain(model, numbers, seed)
        for is_training, kept in ((True, raw), (False, full)):
            model.train(is_training)
            with torch.no_grad():
                output = model([system], {name: ModelOutput(sample_kind="system")})
            kept.append(output[name].block().values.double().flatten())
    factor = float((full[0] / raw[0]).median())
    for layers, outputs in zip(raw, full, strict=True):
        _check_scaled(factor * layers, outputs, "direct stress")
    return factor


def _check_scaled(expected: Tensor, found: Tensor, what: str) -> None:
    """Raise ValueError unless an output is that of the layers times the factors that were read off."""
    scale = float(found.abs().max())
    if not torch.allclose(expected, found, rtol=1e-6, atol=1e-8 * max(scale, 1.0)):
        raise ValueError(
            f"expected the {what} of metatrain to be those of its layers times one factor per element; they are not: "
            "please report it, with the version of metatrain"
        )


def _chain(model: nn.Module, numbers: Tensor, seed: int) -> System:
    """Return one atom of each element in a row, in a cell."""
    generator = torch.Generator().manual_seed(seed)
    n = len(numbers)
    positions = torch.rand((n, 3), generator=generator, dtype=torch.float64)
    positions[:, 0] += 2.0 * torch.arange(n)
    cell = torch.diag(torch.tensor([2.0 * n + 3.0, 9.0, 9.0], dtype=torch.float64))
    system = System(numbers.to(torch.int32), positions, cell, torch.ones(3, dtype=torch.bool))
    return get_system_with_neighbor_lists(system, model.requested_neighbor_lists())
