"""Which rows of a joined array belong to which structure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Rows:
    """Rows of S structures one after the other; each has at least one.

    Parameters
    ----------
    counts : (S,) int array
        Rows of each structure.
    """

    def __init__(self, counts: NDArray[np.int64]):
        self.counts = np.asarray(counts, dtype=np.int64)
        self.starts = np.cumsum(self.counts) - self.counts

    def sums(self, values: Array) -> Array:
        """Return the sums (S,) of values (R,) of rows."""
        return np.add.reduceat(values, self.starts)

    def largest(self, values: Array) -> Array:
        """Return the largest (S,) of the values (R,) of each structure; NaN where there is one."""
        return np.maximum.reduceat(values, self.starts)

    def products(self, a: Array, b: Array) -> Array:
        """Return the scalar products (S,) of vectors (R, 3)."""
        return self.sums(np.einsum("ij,ij->i", a, b))

    def spread(self, values: Array) -> Array:
        """Return values (S,) of structures as a column (R, 1)."""
        return np.repeat(values, self.counts)[:, None]
