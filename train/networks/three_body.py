"""The basis of three-body terms: spherical Bessel functions of a distance times spherical harmonics of a direction."""

import math

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import spherical_jn
from torch import Tensor, nn

LARGEST_DEGREE = 3  # of the harmonics and the Bessel functions written out here


def bessel_roots(n_degrees: int, n_roots: int) -> np.ndarray:
    """Return the first positive roots (n_degrees, n_roots) of the spherical Bessel functions j_0, j_1, ..."""
    # Roots of j_l lie between those of j_(l - 1); those of j_0 are the multiples of pi.
    roots = np.pi * np.arange(1, n_roots + n_degrees)
    rows = [roots[:n_roots]]
    for degree in range(1, n_degrees):
        pairs = zip(roots[:-1], roots[1:], strict=True)
        roots = np.array([brentq(lambda x, n=degree: spherical_jn(n, x), *p) for p in pairs])
        rows.append(roots[:n_roots])
    return np.array(rows)


class SphericalBessel(nn.Module):
    """j_l(z_ln r / c) for degrees l and the first roots z_ln of each, so that all are zero at the cutoff c."""

    def __init__(self, n_degrees: int, n_roots: int, cutoff: float):
        super().__init__()
        if not 1 <= n_degrees <= LARGEST_DEGREE + 1:
            raise ValueError(f"expected 1 <= {n_degrees=} <= {LARGEST_DEGREE + 1}")
        self.n_degrees = n_degrees
        scaled = bessel_roots(n_degrees, n_roots) / cutoff
        self.register_buffer("wavenumbers", torch.tensor(scaled, dtype=torch.float32))

    def forward(self, distance: Tensor) -> Tensor:
        """Return values (E, n_degrees, n_roots) at distances (E,), Å."""
        rows = []
        for degree in range(self.n_degrees):
            rows.append(self._bessel(degree, distance[:, None] * self.wavenumbers[degree]))
        return torch.stack(rows, dim=1)

    def _bessel(self, degree: int, x: Tensor) -> Tensor:
        """Return j_l(x), from its closed form, and from its power series where that would cancel digits."""
        split = 0.5 + 0.5 * degree
        y = x.clamp(min=split)
        sine, inverse = torch.sin(y), 1.0 / y
        lower = sine * inverse  # j_0
        closed = lower
        if degree > 0:
            closed = (lower - torch.cos(y)) * inverse  # j_1
        for n in range(1, degree):  # j_(n + 1) = (2 n + 1) / x j_n - j_(n - 1)
            lower, closed = closed, (2 * n + 1) * inverse * closed - lower
        z = x.clamp(max=split)
        term = torch.ones_like(z)
        for n in range(1, degree + 1):
            term = term * z / (2 * n + 1)
        series = term
        for k in range(1, 9):
            term = term * z * z * (-0.5 / (k * (2 * degree + 2 * k + 1)))
            series = series + term
        return torch.where(x < split, series, closed)


def racah_harmonics(unit: Tensor, n_degrees: int) -> Tensor:
    """Real spherical harmonics, normalised so that sum_m C_lm(a) C_lm(b) is the Legendre polynomial P_l(a . b).

    Parameters
    ----------
    unit : (E, 3) tensor
        Unit vectors.
    n_degrees : int
        l = 0 .. n_degrees - 1, at most 3.

    Returns
    -------
    (E, n_degrees^2) tensor
        By degree; those of one degree sum to the addition theorem in squares.
    """
    x, y, z = unit.unbind(1)
    rows = [torch.ones_like(x)]
    if n_degrees > 1:
        rows += [y, z, x]
    if n_degrees > 2:
        c = math.sqrt(3.0)
        rows += [c * x * y, c * y * z, 1.5 * z * z - 0.5, c * x * z, 0.5 * c * (x * x - y * y)]
    if n_degrees > 3:
        a, b, c = math.sqrt(5.0 / 8.0), math.sqrt(3.0 / 8.0), math.sqrt(15.0)
        zz = 5.0 * z * z
        rows += [a * y * (3.0 * x * x - y * y), c * x * y * z, b * y * (zz - 1.0)]
        rows += [0.5 * z * (zz - 3.0), b * x * (zz - 1.0), 0.5 * c * z * (x * x - y * y)]
        rows += [a * x * (x * x - 3.0 * y * y)]
    return torch.stack(rows, dim=1)
