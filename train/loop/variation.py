"""What is done to the structures of a step before they are used: exchanged, turned, displaced."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mlip_train.data.augmentation import random_orthogonal, turned
from mlip_train.data.sampling import BatchLimits
from mlip_train.data.structure import TrainingStructure
from mlip_train.loop.perturbation import random_displacements, stiff_displacements
from mlip_train.recipe import Recipe, Stage


def vary(
    chosen: list[TrainingStructure],
    unlabelled: Sequence[TrainingStructure],
    recipe: Recipe,
    stage: Stage,
    network: nn.Module,
    baseline: Tensor,
    *,
    seed: int,
    rank: int,
    replay: Sequence[TrainingStructure] = (),
) -> tuple[list[TrainingStructure], list[Tensor] | None]:
    """Exchange, turn or displace the structures of a step as the recipe asks.

    All processes decide alike from ``seed`` and then draw their own by ``rank``, or one would average gradients of
    other terms.

    Returns
    -------
    chosen : list of TrainingStructure
    displacements : list of (N, 3) tensors, Å, or None
        None unless this is a step on perturbed copies.
    """
    generator = torch.Generator().manual_seed(seed)
    replayed_steps = 0.0 if recipe.replay is None else recipe.replay.fraction
    is_perturbed, is_unlabelled, is_replayed = (
        float(torch.rand((), generator=generator)) < fraction
        for fraction in (stage.perturbed_steps, stage.unlabelled_steps, replayed_steps)
    )
    generator.manual_seed(seed + 104729 * rank)
    pool = unlabelled if is_unlabelled else replay if is_replayed else None
    if pool is not None:
        picks = torch.randint(len(pool), (len(chosen),), generator=generator)
        chosen = _within(recipe.batch_limits, [pool[int(k)] for k in picks])
    if recipe.augment:
        chosen = [turned(item, random_orthogonal(generator)) for item in chosen]
    if not is_perturbed:
        return chosen, None
    displacements = random_displacements(chosen, stage.perturbation, generator)
    if float(torch.rand((), generator=generator)) < stage.stiff_perturbations:
        displacements = stiff_displacements(
            network, chosen, displacements, baseline, stage.perturbation
        )
    return chosen, displacements


def _within(limits: BatchLimits, chosen: list[TrainingStructure]) -> list[TrainingStructure]:
    """Return the first of the structures, as many as a batch may hold, one at least."""
    kept, atoms, edges = [], 0, 0
    for item in chosen:
        atoms, edges = atoms + len(item.positions), edges + item.edge_index.shape[1]
        too_large = (0 < limits.atoms < atoms) or (0 < limits.edges < edges)
        if kept and limits.bounds_size and too_large:
            break
        kept.append(item)
    return kept
