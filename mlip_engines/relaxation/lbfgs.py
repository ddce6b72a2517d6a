"""L-BFGS for many structures at once, without a search along the line.

References
----------
Liu, Nocedal, Math. Program. 45, 503 (1989); the first curvature and the longest step are those of ASE.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlip_engines.relaxation.optimiser import Optimiser
from mlip_engines.relaxation.rows import Rows

Array = NDArray[np.float64]

CURVATURE = 70.0  # eV/Å^2, before anything is known
MEMORY = 40  # steps


class Lbfgs(Optimiser):
    """The last steps of each structure, and how its forces changed along them.

    Steps of all structures are in the same place of a ring; a structure that joined later has zeros there. A step along
    which the energy has no positive curvature is left out, so that the next one goes downhill.

    Parameters
    ----------
    max_step : float, Å
        Of the row that moves most; the step of a structure is shortened as a whole.
    """

    def __init__(self, max_step: float):
        super().__init__(max_step)
        self.steps = np.zeros((MEMORY, 0, 3))
        self.changes = np.zeros((MEMORY, 0, 3))  # of the gradient
        self.inverse_products = np.zeros((MEMORY, 0))  # 0: left out
        self.last_coordinates, self.last_forces = np.zeros((0, 3)), np.zeros((0, 3))
        self.ages = np.zeros(0, dtype=np.int64)
        self.newest = -1

    def add(self, rows: Rows) -> None:
        """Begin with more structures, after those that are there."""
        n, zeros = len(rows.counts), np.zeros((rows.counts.sum(), 3))
        more = np.zeros((MEMORY, *zeros.shape))
        self.steps = np.concatenate([self.steps, more], axis=1)
        self.changes = np.concatenate([self.changes, more], axis=1)
        self.inverse_products = np.concatenate(
            [self.inverse_products, np.zeros((MEMORY, n))], axis=1
        )
        self.last_coordinates = np.concatenate([self.last_coordinates, zeros])
        self.last_forces = np.concatenate([self.last_forces, zeros])
        self.ages = np.concatenate([self.ages, np.zeros(n, dtype=np.int64)])

    def keep(self, rows: NDArray[np.bool_], structures: NDArray[np.bool_]) -> None:
        """Forget the other structures."""
        self.steps, self.changes = self.steps[:, rows], self.changes[:, rows]
        self.inverse_products = self.inverse_products[:, structures]
        self.last_coordinates = self.last_coordinates[rows]
        self.last_forces = self.last_forces[rows]
        self.ages = self.ages[structures]

    def step(self, coordinates: Array, forces: Array, rows: Rows) -> Array:
        """Return the step (R, 3) from coordinates (R, 3) with forces (R, 3)."""
        self._remember(coordinates, forces, rows)
        reach = int(min(self.ages.max(initial=0), MEMORY))
        order = [(self.newest - k) % MEMORY for k in range(reach)]  # from the newest on
        weights = {}
        q = forces.copy()
        for k in order:
            weights[k] = self.inverse_products[k] * rows.products(self.steps[k], q)
            q -= rows.spread(weights[k]) * self.changes[k]
        q /= CURVATURE
        for k in reversed(order):
            back = self.inverse_products[k] * rows.products(self.changes[k], q)
            q += rows.spread(weights[k] - back) * self.steps[k]
        longest = np.sqrt(rows.largest(np.einsum("ij,ij->i", q, q)))
        return q * rows.spread(self.max_step / np.maximum(longest, self.max_step))

    def _remember(self, coordinates: Array, forces: Array, rows: Rows) -> None:
        k = self.newest = (self.newest + 1) % MEMORY
        self.steps[k] = coordinates - self.last_coordinates
        self.changes[k] = self.last_forces - forces
        product = rows.products(self.steps[k], self.changes[k])
        counts = (self.ages > 0) & (product > 0.0)
        self.inverse_products[k] = np.divide(1.0, product, out=np.zeros_like(product), where=counts)
        self.last_coordinates, self.last_forces = coordinates.copy(), forces.copy()
        self.ages += 1
