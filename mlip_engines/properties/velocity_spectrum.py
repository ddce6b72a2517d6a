"""Power spectrum of the velocities: at which frequencies atoms move.

Welch's method (:func:`scipy.signal.welch`), mass-weighted and summed over atoms, so that its integral is a constant
times the kinetic energy: it is normalised to one, a density of vibrations.

References
----------
Welch, IEEE Trans. Audio Electroacoust. 15, 70 (1967).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

THZ_TO_PER_CM = 33.35640951981521  # exact: 1e10 / c
SEGMENT_PS = 1.0  # of Welch's method: a resolution of about 33 / cm


def power_spectrum(
    velocities: NDArray[np.float64], masses: NDArray[np.float64], interval_ps: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mass-weighted power spectrum of velocities, normalised to one.

    Parameters
    ----------
    velocities : (F, n, 3) array, Å/ps
    masses : (n,) array, amu
    interval_ps : float, ps
        Between frames.

    Returns
    -------
    wavenumber : (k,) array, 1/cm
    density : (k,) array, cm
        Its integral over the wavenumber is one.

    Raises
    ------
    ValueError
        If there are less than eight frames.
    """
    from scipy.integrate import trapezoid
    from scipy.signal import welch

    if len(velocities) < 8:
        raise ValueError(f"expected at least 8 frames for a spectrum, got {len(velocities)}")
    series = velocities.reshape(len(velocities), -1)  # (F, 3n)
    segment = min(len(series), max(8, round(SEGMENT_PS / interval_ps)))
    frequency, density = welch(
        series, fs=1.0 / interval_ps, nperseg=segment, axis=0, detrend=False, scaling="density"
    )
    total = density @ np.repeat(masses, 3)
    wavenumber = frequency * THZ_TO_PER_CM
    return wavenumber, total / trapezoid(total, wavenumber)
