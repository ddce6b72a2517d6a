"""What the optimisers of many structures have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from mlip_engines.relaxation.rows import Rows

Array = NDArray[np.float64]


class Optimiser(ABC):
    """Steps of many structures, each with a state of its own; every attribute but ``max_step`` is state.

    Parameters
    ----------
    max_step : float, Å
    """

    def __init__(self, max_step: float):
        self.max_step = max_step

    @abstractmethod
    def add(self, rows: Rows) -> None:
        """Begin with more structures, after those that are there."""

    @abstractmethod
    def keep(self, rows: NDArray[np.bool_], structures: NDArray[np.bool_]) -> None:
        """Forget the other structures."""

    @abstractmethod
    def step(self, coordinates: Array, forces: Array, rows: Rows) -> Array:
        """Return the step (R, 3) from coordinates (R, 3) with forces (R, 3)."""

    def state(self) -> dict[str, NDArray]:
        """Return what has to be kept to go on later with the same steps."""
        return {name: np.array(value) for name, value in vars(self).items() if name != "max_step"}

    def restore(self, state: dict[str, NDArray]) -> None:
        """Go on from a state, in place of that which is there."""
        for name, value in state.items():
            setattr(self, name, value)
