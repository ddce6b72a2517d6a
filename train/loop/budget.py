"""A time for a whole run, divided among its stages."""

from __future__ import annotations

from dataclasses import replace

from mlip_train.recipe import Recipe


def within(recipe: Recipe, minutes: float) -> Recipe:
    """Return a recipe whose stages end after a time, at the latest.

    Stages share the time by their epochs, or by their own minutes if all of them have some, and none takes more than
    its own; the cycle of its learning rate is shortened to end with it. Reading the data, validations and the test
    come on top.

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
    lengths = [stage.budget_minutes for stage in recipe.stages]
    if not all(length > 0.0 for length in lengths):
        lengths = [stage.epochs for stage in recipe.stages]
    stages = []
    for stage, length in zip(recipe.stages, lengths, strict=True):
        share = minutes * length / sum(lengths)
        own = stage.budget_minutes if stage.budget_minutes > 0.0 else share
        stages.append(replace(stage, budget_minutes=min(own, share)))
    return replace(recipe, stages=stages)
