"""Mean square displacement and the diffusion coefficient that follows from it.

<|r(t) - r(0)|^2> = 6 D t at long times. A periodic box of edge L lets particles diffuse too slowly:
D(infinity) = D(L) + 2.837297 kB T/(6 pi eta L).

References
----------
Yeh, Hummer, J. Phys. Chem. B 108, 15873 (2004), for the size of the box.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mean_square_displacement(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Mean over atoms and time origins of |r(t + s) - r(t)|^2, for all lags s at once.

    Parameters
    ----------
    positions : (F, n, 3) array, Å
        Not wrapped.

    Returns
    -------
    (F,) array, Å^2

    References
    ----------
    Calandrini, Pellegrini, Calligari, Hinsen, Kneller, Collect. SFN 12, 201 (2011), for the sum by FFT.
    """
    n_frames = len(positions)
    x = positions.reshape(n_frames, -1)
    size = 1 << (2 * n_frames - 1).bit_length()
    spectrum = np.fft.rfft(x, size, axis=0)
    products = np.fft.irfft(np.abs(spectrum) ** 2, size, axis=0)[:n_frames].sum(axis=1)
    squares = (x**2).sum(axis=1)
    # sum over origins of |r(t + s)|^2 + |r(t)|^2 for lag s: from both ends
    ahead = np.cumsum(squares[::-1])[::-1]
    behind = np.cumsum(squares)[::-1]
    counts = np.arange(n_frames, 0, -1)
    return np.maximum((ahead + behind - 2.0 * products) / counts / positions.shape[1], 0.0)


def diffusion_coefficient(time_ps: NDArray[np.float64], positions: NDArray[np.float64]) -> float:
    """Slope of the mean square displacement, divided by 6.

    Parameters
    ----------
    time_ps : (F,) array, ps
        At equal intervals.
    positions : (F, n, 3) array, Å
        Not wrapped; :func:`relative_to_centre`, if the centre of mass moves.

    Returns
    -------
    float, Å^2/ps
        From lags of a quarter to half of the time.
    """
    displacement = mean_square_displacement(positions)
    lags = slice(max(1, len(time_ps) // 4), max(3, len(time_ps) // 2))
    return float(np.polyfit(time_ps[lags] - time_ps[0], displacement[lags], 1)[0] / 6.0)


def relative_to_centre(
    positions: NDArray[np.float64], masses: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Positions less the path of their centre of mass.

    Parameters
    ----------
    positions : (F, N, 3) array, Å
    masses : (N,) array, amu

    Returns
    -------
    (F, N, 3) array, Å
    """
    centre = np.einsum("fni,n->fi", positions, masses / masses.sum())
    return positions - centre[:, None]
