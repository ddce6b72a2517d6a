"""What decides a training on properties, besides the data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

TRAINED = ("all", "head")
SCHEDULES = ("cosine", "plateau")


@dataclass(frozen=True)
class Settings:
    """Settings of a run.

    Raises
    ------
    ValueError
        If one cannot be right.
    """

    targets: tuple[str, ...]
    pooling: str = "attention"
    trained: str = "all"  # or head: the network stays as it is
    epochs: int = 100
    learning_rate: float = 1e-3
    batch_size: int = 32  # structures
    # cosine: down to a hundredth over the epochs; at a rate that only plateaus lower, short runs go up and down
    schedule: str = "cosine"
    # with plateau, epochs without a better validation until the learning rate is halved
    patience: int = 5
    n_validation: int = 100
    n_test: int = 100
    n_train: int = 0  # if positive, only so many, for learning curves
    split_key: str = "split"  # of the data: train, valid or test
    seed: int = 1
    noise: float = (
        0.0  # Å, standard deviation of what is added to the geometries that are trained on
    )
    align: float = 0.0  # weight of the displacements to the true geometries beside the property

    def __post_init__(self) -> None:
        if not self.targets or len(set(self.targets)) < len(self.targets):
            raise ValueError(f"expected targets, each once, got {list(self.targets)}")
        if self.trained not in TRAINED:
            raise ValueError(f"trained must be one of {list(TRAINED)}, got {self.trained!r}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {list(SCHEDULES)}, got {self.schedule!r}")
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("n_validation", "n_test", "n_train"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("noise", "align"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise ValueError(
                    f"{name} must be finite and not negative, got {getattr(self, name)}"
                )
        if self.align > 0.0 and self.trained == "head":
            raise ValueError(
                "displacements are learned by the network, and with --trained head it stays as it is; give --align 0"
            )
        if not self.learning_rate > 0.0:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")

    def learning_rate_of(self, epoch: int) -> float:
        """Return the learning rate of the cosine in an epoch from 0: the largest at first, a hundredth at last."""
        progress = epoch / max(self.epochs - 1, 1)
        cosine = 0.5 * (1.0 + math.cos(math.pi * progress))
        return self.learning_rate * (0.01 + 0.99 * cosine)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for a checkpoint."""
        return {**asdict(self), "targets": list(self.targets)}
