"""A time for a whole run, divided among its stages."""

from __future__ import annotations

from dataclasses import replace

from mlip_train.recipe import Recipe


def within(recipe: Recipe, minutes: float) -> Recipe:
    """Return a recipe whose stages end after a time, at the latest.

    Each stage gets its share of the epochs; the cycle of its learning rate is shortened to end with it. Reading the
    data, validations and the test come on top.

    Parameters
    ----------
    recipe : Recipe
    minutes : float

    Raises
    ------
    ValueError
        If the time is not positive and finite.
    """
    if not 0.0 < minutes < float("inf"):
        raise ValueError(f"expected a positive number of minutes, got {minutes}")
    epochs = sum(stage.epochs for stage in recipe.stages)
    stages = []
    for stage in recipe.stages:
        share = minutes * stage.epochs / epochs
        own = stage.budget_minutes if stage.budget_minutes > 0.0 else share
        stages.append(replace(stage, budget_minutes=min(own, share)))
    return replace(recipe, stages=stages)
