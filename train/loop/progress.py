"""How far a run has come: what a checkpoint needs, besides weights, to go on at the same step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from mlip_train.loop.plateau import Plateau
from mlip_train.recipe import Stage


@dataclass
class Progress:
    """Stage, epoch and step of a run, and what it has measured so far."""

    stage_index: int = 0
    epoch: int = 0  # of the stage
    step_in_epoch: int = 0
    elapsed: float = 0.0  # s, of the stage
    n_updates: int = 0  # of the average of the weights
    sums: dict[str, float] = field(
        default_factory=dict
    )  # terms of the loss over the steps of the epoch
    history: list[dict[str, str]] = field(default_factory=list)  # rows of metrics.csv
    plateau: Plateau = field(default_factory=Plateau)  # of the stage

    @classmethod
    def of(cls, state: dict[str, Any]) -> Progress:
        """Return the progress that a checkpoint holds."""
        values = {f.name: state[f.name] for f in fields(cls) if f.name != "plateau"}
        return cls(
            **values, plateau=Plateau(**state.get("plateau", {}))
        )  # checkpoints before it have none

    @property
    def mean_loss(self) -> float:
        """Mean of the loss over the steps of the epoch so far; not a number before the first."""
        return self.sums.get("total", math.nan) / max(self.step_in_epoch, 1)

    def fraction_of_stage(self, stage: Stage, n_steps: int) -> float:
        """Return how much of a stage is done: of its steps, ``n_steps`` an epoch, or of its time if that is more."""
        fraction = (self.epoch + self.step_in_epoch / n_steps) / stage.epochs
        if stage.budget_minutes > 0.0:
            fraction = max(fraction, self.elapsed / (60.0 * stage.budget_minutes))
        return fraction

    def add_step(self, terms: dict[str, float], elapsed: float) -> None:
        """Count a step with these terms of the loss, ``elapsed`` seconds after the start of the stage."""
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.step_in_epoch += 1
        self.elapsed = elapsed

    def next_epoch(self) -> None:
        """Go to the first step of an epoch."""
        self.step_in_epoch, self.sums = 0, {}

    def next_stage(self) -> None:
        """Go to the first step of the next stage."""
        self.stage_index += 1
        self.epoch, self.step_in_epoch, self.elapsed = 0, 0, 0.0
        self.plateau = Plateau()
