"""Where the validation gets no better: what lowers the learning rate with ``schedule: plateau``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mlip_train.loss_weights import ERROR_OF_TERM, LossWeights

# An error must be lower by this fraction to count as better, as in torch's ReduceLROnPlateau.
THRESHOLD = 1e-4


@dataclass
class Plateau:
    """The rule of torch's ReduceLROnPlateau as plain numbers, so that a checkpoint of any version can hold it."""

    best: float = math.inf
    n_worse: int = 0  # validations since the best one, or since the learning rate was lowered
    reduction: float = 1.0  # factor on the learning rate

    def judge(self, error: float, *, patience: int, reduction: float) -> None:
        """Take an error of the validation into account; more than `patience` without a better one lower the rate."""
        if error < self.best * (1.0 - THRESHOLD):
            self.best, self.n_worse = error, 0
        else:  # also if it is not a number
            self.n_worse += 1
        if self.n_worse > patience:
            self.reduction, self.n_worse = self.reduction * reduction, 0


def weighted_error(errors: Mapping[str, float], weights: LossWeights) -> float:
    """Return the mean absolute errors of what a stage learns, each times its weight in the loss.

    Raises
    ------
    ValueError
        If the validation has none of them.
    """
    found = [
        getattr(weights, term) * errors[name]
        for term, name in ERROR_OF_TERM.items()
        if getattr(weights, term) > 0.0 and name in errors
    ]
    if not found:
        raise ValueError(
            "schedule: plateau: expected labels of what is learned in the structures for validation, got none; add "
            "some or use schedule: cosine"
        )
    return sum(found)
