"""Energy against volume, and the equation of Birch and Murnaghan through it.

References
----------
Birch, Phys. Rev. 71, 809 (1947); fitted as a cubic polynomial in V^(-2/3), in which it is linear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlip_engines.units import EV_PER_CUBIC_ANGSTROM_TO_GPA


@dataclass(frozen=True)
class EquationOfState:
    """Energies at several volumes, and the fit.

    Parameters
    ----------
    volumes : (n,) array, Å^3/atom
    energies : (n,) array, eV/atom
    volume : float, Å^3/atom
        Of the least energy.
    energy : float, eV/atom
    bulk_modulus : float, GPa
        At the least energy.
    slope : float
        Derivative of the bulk modulus by pressure there.
    residual : float, eV/atom
        Root mean square of what the fit misses.
    """

    volumes: NDArray[np.float64]
    energies: NDArray[np.float64]
    volume: float
    energy: float
    bulk_modulus: float
    slope: float
    residual: float


def fit_equation_of_state(
    volumes: NDArray[np.float64], energies: NDArray[np.float64]
) -> EquationOfState:
    """Fit the equation of third order.

    Raises
    ------
    ValueError
        If there are fewer than five volumes, or the energy has no minimum among them.
    """
    volumes, energies = np.asarray(volumes, dtype=float), np.asarray(energies, dtype=float)
    if len(volumes) < 5:
        raise ValueError(f"expected five volumes or more, got {len(volumes)}")
    scale = volumes.mean()
    x = (volumes / scale) ** (-2.0 / 3.0)
    fit = np.polynomial.Polynomial.fit(x, energies, 3)
    first, second, third = (fit.deriv(k) for k in (1, 2, 3))
    minima = [
        r.real for r in first.roots() if abs(r.imag) < 1e-9 and second(r.real) > 0.0 and r.real > 0
    ]
    inside = [r for r in minima if x.min() <= r <= x.max()]
    if not inside:
        raise ValueError(
            f"the energy has no minimum between {volumes.min():.2f} and {volumes.max():.2f} Å^3/atom; relax the cell"
        )
    (at,) = inside[:1]
    volume = at**-1.5 * scale
    # dx/dV = -2/3 x/V; at the minimum d2E/dV2 = E'' (dx/dV)^2
    bulk = volume * second(at) * (2.0 / 3.0 * at / volume) ** 2
    # from B = ((4/9) x^2 E'' + (10/9) x E')/V and P = (2/3) x E'/V, with E' = 0
    slope = 4.0 + 2.0 / 3.0 * at * third(at) / second(at)
    return EquationOfState(
        volumes,
        energies,
        float(volume),
        float(fit(at)),
        float(bulk * EV_PER_CUBIC_ANGSTROM_TO_GPA),
        float(slope),
        float(np.sqrt(np.mean((fit(x) - energies) ** 2))),
    )
