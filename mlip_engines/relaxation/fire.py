"""FIRE for many structures at once.

References
----------
Bitzek, Koskinen, Gähler, Moseler, Gumbsch, Phys. Rev. Lett. 97, 170201 (2006); the parameters are those of ASE.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlip_engines.relaxation.optimiser import Optimiser
from mlip_engines.relaxation.rows import Rows

Array = NDArray[np.float64]

TIME_STEP, LONGEST_TIME_STEP = 0.1, 1.0
PATIENCE = 5  # steps downhill before the time step grows
GROWTH, SHRINKAGE = 1.1, 0.5
MIXING, MIXING_DECAY = 0.1, 0.99


class Fire(Optimiser):
    """The state of each structure: velocities, time step and mixing.

    Parameters
    ----------
    max_step : float, Å
        The norm of the step of a structure is at most this.
    """

    def __init__(self, max_step: float):
        super().__init__(max_step)
        self.velocities = np.zeros((0, 3))
        self.time_step, self.mixing = np.zeros(0), np.zeros(0)
        self.downhill = np.zeros(0, dtype=np.int64)

    def add(self, rows: Rows) -> None:
        """Begin with more structures, after those that are there."""
        n = len(rows.counts)
        self.velocities = np.concatenate([self.velocities, np.zeros((rows.counts.sum(), 3))])
        self.time_step = np.concatenate([self.time_step, np.full(n, TIME_STEP)])
        self.mixing = np.concatenate([self.mixing, np.full(n, MIXING)])
        self.downhill = np.concatenate([self.downhill, np.zeros(n, dtype=np.int64)])

    def keep(self, rows: NDArray[np.bool_], structures: NDArray[np.bool_]) -> None:
        """Forget the other structures."""
        self.velocities = self.velocities[rows]
        self.time_step, self.mixing = self.time_step[structures], self.mixing[structures]
        self.downhill = self.downhill[structures]

    def step(self, coordinates: Array, forces: Array, rows: Rows) -> Array:
        """Return the step (R, 3) from coordinates (R, 3) with forces (R, 3)."""
        v = self.velocities
        power = rows.products(forces, v)
        is_new = rows.products(v, v) == 0.0  # before the first step and after a stop
        norm = np.sqrt(rows.products(v, v))
        force_norm = np.sqrt(rows.products(forces, forces))
        is_downhill = power > 0.0
        along = np.divide(
            self.mixing * norm, force_norm, out=np.zeros_like(norm), where=force_norm > 0.0
        )
        mixed = rows.spread(1.0 - self.mixing) * v + rows.spread(along) * forces
        v = np.where(rows.spread(is_downhill), mixed, 0.0)
        grows = is_downhill & (self.downhill > PATIENCE)
        stops = ~is_downhill & ~is_new
        grown = np.minimum(self.time_step * GROWTH, LONGEST_TIME_STEP)
        self.time_step = np.where(grows, grown, self.time_step)
        self.time_step = np.where(stops, self.time_step * SHRINKAGE, self.time_step)
        self.mixing = np.where(grows, self.mixing * MIXING_DECAY, self.mixing)
        self.mixing = np.where(stops, MIXING, self.mixing)
        self.downhill = np.where(is_downhill, self.downhill + 1, 0)
        v = v + rows.spread(self.time_step) * forces
        self.velocities = v
        change = rows.spread(self.time_step) * v
        length = np.sqrt(rows.products(change, change))
        return change * rows.spread(self.max_step / np.maximum(length, self.max_step))
