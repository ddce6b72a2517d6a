"""Properties of many structures, in batches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from ase import Atoms
from torch import Tensor

from mlip_train.data.batching import Batch, collate
from mlip_train.data.structure import TrainingStructure, prepare
from mlip_train.property.network import PropertyNetwork

_NO_BASELINE = torch.zeros(119, dtype=torch.float64)


def batch_of(structures: list[TrainingStructure], network: PropertyNetwork) -> Batch:
    """Join structures into the batch that a network takes."""
    dtype = next(network.parameters()).dtype
    return collate(structures, _NO_BASELINE, network.cutoff, dtype)


def predicted(
    network: PropertyNetwork, structures: Sequence[TrainingStructure], batch_size: int
) -> Tensor:
    """Return properties (S, T), float64, of prepared structures."""
    was_training = network.training
    network.eval()
    with torch.no_grad():
        parts = [
            network(batch_of(list(structures[k : k + batch_size]), network))
            for k in range(0, len(structures), batch_size)
        ]
    network.train(was_training)
    return torch.cat(parts)


def reasons_against(structures: Sequence[Atoms], species: Sequence[int]) -> dict[int, str]:
    """Return, by index, why structures cannot be evaluated by a network of these atomic numbers."""
    known = set(species)
    reasons = {}
    for k, atoms in enumerate(structures):
        others = {s for s, z in zip(atoms.symbols, atoms.numbers, strict=True) if z not in known}
        if len(atoms) == 0:
            reasons[k] = "it has no atoms"
        elif others:
            reasons[k] = f"the network does not know {', '.join(sorted(others))}"
    return reasons


def predict_properties(
    network: PropertyNetwork,
    structures: Sequence[Atoms],
    species: Sequence[int],
    batch_size: int = 32,
) -> tuple[Tensor, dict[int, str]]:
    """Return properties (S, T), NaN where a structure cannot be evaluated, and the reasons by index."""
    reasons = reasons_against(structures, species)
    fine = [k for k in range(len(structures)) if k not in reasons]
    n_targets = network.scales.mean.numel()
    values = torch.full((len(structures), n_targets), torch.nan, dtype=torch.float64)
    for start in range(0, len(fine), batch_size):
        chosen = fine[start : start + batch_size]
        prepared = [prepare(structures[k], network.cutoff) for k in chosen]
        values[chosen] = predicted(network, prepared, batch_size)
    return values, reasons
