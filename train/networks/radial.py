"""Radial functions of an edge: a Bessel basis and a Gaussian one, and the smooth cutoff that makes them end."""

import math

import torch
from torch import Tensor, nn


def polynomial_cutoff(distance: Tensor, cutoff: float) -> Tensor:
    """Evaluate a cutoff function (E,) at distances (E,), Å, that is zero at the cutoff with its first two derivatives.

    f(x) = 1 - (p + 1)(p + 2)/2 x^p + p (p + 2) x^(p + 1) - p (p + 1)/2 x^(p + 2),  p = 6,  x = r / c

    References
    ----------
    Gasteiger, Groß, Günnemann, ICLR 2020 (arXiv:2003.03123), eq. 8.
    """
    x = (distance / cutoff).clamp(max=1.0)
    x6 = x * x * x * x * x * x
    return 1.0 - x6 * (28.0 - 48.0 * x + 21.0 * x * x)


class BesselBasis(nn.Module):
    """Spherical Bessel functions of order zero times a polynomial cutoff.

    e_k(r) = sqrt(2 / c) sin(k pi r / c) / r * f(r / c),  k = 1 .. n, with f of :func:`polynomial_cutoff`

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
        envelope = polynomial_cutoff(distance, self.cutoff)  # (E,)
        wave = torch.sin(distance[:, None] * self.wavenumbers)  # (E, n_basis)
        return wave * (self.normalisation * envelope / distance)[:, None]


class GaussianBasis(nn.Module):
    """Gaussians at equal distances from zero to the cutoff, as wide as they are apart; they do not end at the cutoff.

    e_k(r) = exp(-(r - mu_k)^2 / (2 d^2)),  mu_k = k d,  d = c / (n - 1),  k = 0 .. n - 1

    References
    ----------
    Schütt, Sauceda, Kindermans, Tkatchenko, Müller, J. Chem. Phys. 148, 241722 (2018).
    """

    def __init__(self, n_basis: int, cutoff: float):
        super().__init__()
        if n_basis < 2:
            raise ValueError(f"expected {n_basis=} >= 2: Gaussians from zero to the cutoff")
        self.per_width = (n_basis - 1) / cutoff
        self.register_buffer("numbers", torch.arange(n_basis).to(torch.float32))  # k

    def forward(self, distance: Tensor) -> Tensor:
        """Return the basis (E, n_basis) at distances (E,), Å."""
        offset = distance[:, None] * self.per_width - self.numbers  # (E, n_basis), in units of d
        return torch.exp(-0.5 * offset * offset)
