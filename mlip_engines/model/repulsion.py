"""The repulsion of two nuclei that come nearer than in any training data, gentle enough for a simulation.

Below s, the distance at which it begins, and with the middle m = 0.8 s and the bound b = 0.5 s:

    u(r) = w(r) + [Z(r) - w(r)] S((m - r) / (m - b))

Z is the screened nuclear repulsion, S is :func:`smooth_step`, so from b down u is Z. A wall w stands between s and m.
Its curvature rises from zero to k within 0.05 s and is constant from there on. k is chosen such that w(m) = Z(m), but
w(b) no higher than Z(b), or light nuclei would attract each other on the way from w to Z, and k not beyond 400 eV/Å².
Z itself, switched on within a tenth of s, would be so stiff that atoms of a hot simulation gain energy at each
collision: 4000 eV/Å² for silicon and oxygen, or a period of 3 fs. With 400 eV/Å² it is 10 fs there, and 3 fs for
hydrogen and oxygen, a third of that of the bonds.

References
----------
Ziegler, Biersack, Littmark, The Stopping and Range of Ions in Matter, vol. 1, Pergamon (1985): the universal screening
function. ``pair_style zbl`` of LAMMPS has the same one.
"""

import torch
from torch import Tensor

ONSET, MIDDLE, BOUND = 0.95, 0.8, 0.5  # in units of s: where the curvature is whole, m, b
STIFFEST = 400.0  # eV/Å²


def smooth_step(t: Tensor) -> Tensor:
    """Return S(t) = 10 t^3 - 15 t^4 + 6 t^5, which rises from 0 at 0 to 1 at 1 with two derivatives zero at both."""
    return t * t * t * (10.0 - 15.0 * t + 6.0 * t * t)


def repulsion(
    numbers: Tensor,
    distance: Tensor,
    shortest: Tensor,
    coulomb: float,
    middle: float = MIDDLE,  # defaults, because TorchScript knows no constants of a module
    bound: float = BOUND,
) -> tuple[Tensor, Tensor]:
    """Return u and its slope, see the module.

    Parameters
    ----------
    numbers : (2, C) int64 tensor
        Atomic numbers.
    distance, shortest : (C,) float64 tensor, Å
        r, below s; and s.
    coulomb : float, eV Å
        e^2 / (4 pi epsilon_0)
    middle, bound : float
        m / s and b / s

    Returns
    -------
    u : (C,) tensor, eV
    slope : (C,) tensor, eV/Å
        du/dr, negative.
    """
    nuclear, nuclear_slope = screened_nuclear(numbers, distance, coulomb)
    at_middle, _ = screened_nuclear(numbers, middle * shortest, coulomb)
    at_bound, _ = screened_nuclear(numbers, bound * shortest, coulomb)
    standing, standing_slope = wall(distance, shortest, at_middle, at_bound)
    width = (middle - bound) * shortest
    t = ((middle * shortest - distance) / width).clamp(0.0, 1.0)
    switch = smooth_step(t)
    switch_slope = -30.0 * t * t * (1.0 - t) * (1.0 - t) / width
    difference = nuclear - standing
    energy = standing + difference * switch
    slope = standing_slope + (nuclear_slope - standing_slope) * switch + difference * switch_slope
    return energy, slope


def wall(
    distance: Tensor,
    shortest: Tensor,
    at_middle: Tensor,
    at_bound: Tensor,
    onset: float = ONSET,
    middle: float = MIDDLE,
    bound: float = BOUND,
    stiffest: float = STIFFEST,
) -> tuple[Tensor, Tensor]:
    """Return w, whose curvature is k S((s - r) / d) with d = 0.05 s, and its slope.

    With t = (s - r) / d two integrations give w = k d^2 (t^5/2 - t^6/2 + t^7/7) up to t = 1, and from there on
    w = k d^2 (1/7 + t (t - 1) / 2).

    Parameters
    ----------
    distance, shortest : (C,) float64 tensor, Å
        r and s.
    at_middle, at_bound : (C,) float64 tensor, eV
        What w is at m, unless it exceeded the other at b, or k would be too large.
    onset, middle, bound : float
        (s - d) / s, m / s and b / s
    stiffest : float, eV/Å²
        The largest k.

    Returns
    -------
    w : (C,) tensor, eV
    slope : (C,) tensor, eV/Å
        dw/dr, negative.
    """
    width = (1.0 - onset) * shortest
    t_middle, t_bound = (1.0 - middle) / (1.0 - onset), (1.0 - bound) / (1.0 - onset)
    wanted = torch.minimum(
        at_middle / (1.0 / 7.0 + 0.5 * t_middle * (t_middle - 1.0)),
        at_bound / (1.0 / 7.0 + 0.5 * t_bound * (t_bound - 1.0)),
    )
    curvature = (wanted / (width * width)).clamp(max=stiffest)  # (C,)
    t = (shortest - distance) / width
    rising = t.clamp(0.0, 1.0)
    beyond = (t - 1.0).clamp(min=0.0)
    twice = rising**5 * (0.5 - 0.5 * rising + rising * rising / 7.0)
    once = rising**4 * (2.5 - 3.0 * rising + rising * rising)
    energy = curvature * width * width * (twice + 0.5 * beyond * (beyond + 1.0))
    return energy, -curvature * width * (once + beyond)


def screened_nuclear(numbers: Tensor, distance: Tensor, coulomb: float) -> tuple[Tensor, Tensor]:
    """Return the screened repulsion of two nuclei and its slope, eV and eV/Å.

    Z(r) = Z_i Z_j e^2 / r phi(r / a),  a = 0.46850 Å / (Z_i^0.23 + Z_j^0.23)

    phi is the universal screening function. Arguments as in :func:`repulsion`.
    """
    z = numbers.to(distance.dtype)
    length = 0.46850 / (z[0] ** 0.23 + z[1] ** 0.23)  # (C,)
    screening = torch.zeros_like(distance)
    screening_slope = torch.zeros_like(distance)
    amplitudes = [0.18175, 0.50986, 0.28022, 0.02817]
    decays = [3.19980, 0.94229, 0.40290, 0.20162]
    for amplitude, decay in zip(amplitudes, decays):  # noqa: B905  TorchScript knows no strict
        term = amplitude * torch.exp(-decay * distance / length)
        screening = screening + term
        screening_slope = screening_slope - decay / length * term
    bare = coulomb * z[0] * z[1] / distance
    return bare * screening, bare * (screening_slope - screening / distance)
