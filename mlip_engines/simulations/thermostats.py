"""Drift matrices of generalised Langevin thermostats, for engines that take one (``fix gle`` of LAMMPS).

With p a momentum scaled by the square root of its mass and s an auxiliary one, d(p, s) = -A (p, s) dt + noise;
the noise follows from A at a temperature (canonical sampling), and eliminating s leaves a friction with the
memory K(t) = 2 a_pp delta(t) - a_ps a_sp exp(-a_ss t).

References
----------
Ceriotti, Bussi, Parrinello, J. Chem. Theory Comput. 6, 1170 (2010).
"""

import numpy as np
from numpy.typing import NDArray

HIGH_PASS_FREQUENCY = 200.0  # 1/ps, angular: 1060 cm^-1, above all motions of whole molecules


def white_noise_matrix(friction: float) -> NDArray[np.float64]:
    """Langevin dynamics: K(t) = 2 friction delta(t), with an auxiliary momentum that does nothing.

    Parameters
    ----------
    friction : float, 1/ps

    Returns
    -------
    (2, 2) array, 1/ps
    """
    return np.diag([friction, friction])


def high_pass_matrix(friction: float, frequency: float) -> NDArray[np.float64]:
    r"""Friction on fast motions only: Re K(omega) = 2 friction omega^2 / (omega^2 + frequency^2).

    A = [[a, -b], [-b, c]] with a = friction, c = frequency, b^2 = a c, so that the friction at zero
    frequency, a - b^2/c, vanishes: slow motions, diffusion among them, are left alone, and so is
    whatever heats them. A + A^T has no negative eigenvalue, as canonical sampling demands.

    Parameters
    ----------
    friction : float, 1/ps
        At high frequency.
    frequency : float, 1/ps (angular)
        Above which it acts.

    Returns
    -------
    (2, 2) array, 1/ps
    """
    coupling = np.sqrt(friction * frequency)
    return np.array([[friction, -coupling], [-coupling, frequency]])
