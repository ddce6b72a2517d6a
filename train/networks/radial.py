"""Radial functions of an edge: a Bessel basis under a smooth cutoff."""

import math

import torch
from torch import Tensor, nn


class BesselBasis(nn.Module):
    """Spherical Bessel functions of order zero times a polynomial cutoff.

    e_k(r) = sqrt(2 / c) sin(k pi r / c) / r * f(r / c),  k = 1 .. n
    f(x) = 1 - (p + 1)(p + 2)/2 x^p + p (p + 2) x^(p + 1) - p (p + 1)/2 x^(p + 2),  p = 6

    f is zero at the cutoff with its first two derivatives.

    References
    ----------
    Gasteiger, Groß, Günnemann, ICLR 2020 (arXiv:2003.03123), eqs. 7 and 8.
    """

    def __init__(self, n_basis: int, cutoff: float):
        super().__init__()
        self.cutoff = float(cutoff)
        self.register_buffer("wavenumbers", torch.arange(1, n_basis + 1) * (math.pi / cutoff))
        self.normalisation = math.sqrt(2.0 / cutoff)

    def forward(self, distance: Tensor) -> Tensor:
        """Evaluate the basis.

        Parameters
        ----------
        distance : (E,) tensor, Å

        Returns
        -------
        (E, n_basis) tensor
        """
        x = (distance / self.cutoff).clamp(max=1.0)
        x6 = x * x * x * x * x * x
        envelope = 1.0 - x6 * (28.0 - 48.0 * x + 21.0 * x * x)  # (E,)
        wave = torch.sin(distance[:, None] * self.wavenumbers)  # (E, n_basis)
        return wave * (self.normalisation * envelope / distance)[:, None]
