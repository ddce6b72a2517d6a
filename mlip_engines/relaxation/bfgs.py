"""BFGS for many structures at once, each with a Hessian of its own, without a search along the line.

References
----------
Nocedal, Wright, Numerical Optimization (Springer 2006), equation 6.19, for the Hessian. As in ASE, whose first
curvature this has too, a step goes along the eigenvectors of the Hessian with the absolute values of its eigenvalues,
so that it goes downhill where the energy curves downwards.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlip_engines.relaxation.lbfgs import CURVATURE
from mlip_engines.relaxation.optimiser import Optimiser
from mlip_engines.relaxation.rows import Rows

Array = NDArray[np.float64]

LARGEST_SYSTEM = 500  # atoms: the Hessian is diagonalised at each step, which takes (3 N)^3
SHORTEST_STEP = 1e-7  # Å; shorter ones say nothing of the curvature


class Bfgs(Optimiser):
    """The Hessian (3 R, 3 R) of each structure with R rows, in eV/Å^2.

    Parameters
    ----------
    max_step : float, Å
        Of the row that moves most; the step of a structure is shortened as a whole.
    """

    def __init__(self, max_step: float):
        super().__init__(max_step)
        self.hessians: list[Array] = []
        self.last_coordinates, self.last_forces = np.zeros((0, 3)), np.zeros((0, 3))
        self.ages = np.zeros(0, dtype=np.int64)

    def add(self, rows: Rows) -> None:
        """Begin with more structures, after those that are there."""
        self.hessians += [CURVATURE * np.eye(3 * n) for n in rows.counts]
        zeros = np.zeros((rows.counts.sum(), 3))
        self.last_coordinates = np.concatenate([self.last_coordinates, zeros])
        self.last_forces = np.concatenate([self.last_forces, zeros])
        self.ages = np.concatenate([self.ages, np.zeros(len(rows.counts), dtype=np.int64)])

    def keep(self, rows: NDArray[np.bool_], structures: NDArray[np.bool_]) -> None:
        """Forget the other structures."""
        self.hessians = [h for h, stays in zip(self.hessians, structures, strict=True) if stays]
        self.last_coordinates = self.last_coordinates[rows]
        self.last_forces = self.last_forces[rows]
        self.ages = self.ages[structures]

    def step(self, coordinates: Array, forces: Array, rows: Rows) -> Array:
        """Return the step (R, 3) from coordinates (R, 3) with forces (R, 3)."""
        self._update(coordinates, forces, rows)
        steps = np.empty_like(forces)
        for size in np.unique(rows.counts):  # those of one size together
            places = np.flatnonzero(rows.counts == size)
            chosen = rows.starts[places][:, None] + np.arange(size)  # (n, size)
            values, vectors = np.linalg.eigh(np.stack([self.hessians[k] for k in places]))
            along = np.einsum("nij,ni->nj", vectors, forces[chosen].reshape(len(places), -1))
            found = np.einsum("nij,nj->ni", vectors, along / np.maximum(np.abs(values), 1e-12))
            steps[chosen] = found.reshape(len(places), size, 3)
        longest = np.sqrt(rows.largest(np.einsum("ij,ij->i", steps, steps)))
        return steps * rows.spread(self.max_step / np.maximum(longest, self.max_step))

    def _update(self, coordinates: Array, forces: Array, rows: Rows) -> None:
        moved, change = coordinates - self.last_coordinates, self.last_forces - forces
        longest = rows.largest(np.abs(moved).max(axis=1))
        for k in np.flatnonzero((self.ages > 0) & (longest >= SHORTEST_STEP)):
            part = slice(rows.starts[k], rows.starts[k] + rows.counts[k])
            s, y, hessian = moved[part].ravel(), change[part].ravel(), self.hessians[k]
            expected = hessian @ s
            curvature, expected_curvature = s @ y, s @ expected
            if curvature != 0.0 and expected_curvature != 0.0:
                hessian += np.outer(y, y) / curvature
                hessian -= np.outer(expected, expected) / expected_curvature
        self.last_coordinates, self.last_forces = coordinates.copy(), forces.copy()
        self.ages += 1

    def state(self) -> dict[str, NDArray]:
        """Return what has to be kept to go on later; the Hessians are one after the other."""
        flat = [hessian.ravel() for hessian in self.hessians]
        sizes = np.array([len(hessian) for hessian in self.hessians], dtype=np.int64)
        joined = np.concatenate(flat) if flat else np.zeros(0)
        own = {name: getattr(self, name) for name in ("last_coordinates", "last_forces", "ages")}
        return {**own, "hessians": joined, "sizes": sizes}

    def restore(self, state: dict[str, NDArray]) -> None:
        """Go on from a state, in place of that which is there."""
        rest = dict(state)
        sizes, joined = rest.pop("sizes"), rest.pop("hessians")
        parts = np.split(joined, np.cumsum(sizes**2)[:-1]) if len(sizes) else []
        self.hessians = [part.reshape(n, n).copy() for part, n in zip(parts, sizes, strict=True)]
        super().restore(rest)
