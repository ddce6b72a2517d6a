"""How the learning rate and the average of the weights go with the steps of a run."""

from __future__ import annotations

import math

import torch
from torch import nn

from mlip_train.recipe import Recipe, Stage


def learning_rate(recipe: Recipe, stage: Stage, progress: float, reduction: float = 1.0) -> float:
    """Return the learning rate at a fraction of a stage: linear warm-up, then a cosine to the final fraction.

    With ``schedule: plateau`` it is the largest one times `reduction`, which :class:`Plateau` has found, and never
    less than the final fraction.
    """
    warm_up, final = recipe.warm_up, recipe.final_learning_rate
    if progress < warm_up:
        return stage.learning_rate * max(progress / warm_up, 1e-3)
    if recipe.schedule == "plateau":
        return stage.learning_rate * max(reduction, final)
    decay = min((progress - warm_up) / (1.0 - warm_up), 1.0)
    cosine = 0.5 * (1.0 + math.cos(math.pi * decay))
    return stage.learning_rate * (final + (1.0 - final) * cosine)


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float, n_updates: int) -> None:
    """Move the exponential average towards the network, by more while it is young.

    Otherwise a short run would report its random initial weights.
    """
    decay = min(decay, (1 + n_updates) / (10 + n_updates))
    for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, 1.0 - decay)
