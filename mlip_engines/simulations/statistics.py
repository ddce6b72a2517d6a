"""Means and slopes of series whose values are correlated in time, with honest errors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Estimate(NamedTuple):
    """A value and its standard error, in the same unit."""

    value: float
    error: float

    def __sub__(self, other: Estimate) -> Estimate:
        """Return the difference of two independent estimates."""
        return Estimate(self.value - other.value, float(np.hypot(self.error, other.error)))


def statistical_inefficiency(series: ArrayLike) -> float:
    r"""How many correlated values are worth one independent value.

    g = 1 + 2 sum_{k=1}^{K} (1 - k/n) C(k), with C the normalised autocorrelation, summed until it first
    falls to zero.

    Parameters
    ----------
    series : (n,) array

    Returns
    -------
    float
        At least 1; 1 for a constant series.

    References
    ----------
    Chodera, Swope, Pitera, Seok, Dill, J. Chem. Theory Comput. 3, 26 (2007).
    """
    x = np.asarray(series, dtype=np.float64)
    x = x - x.mean()
    n, variance = len(x), float(x @ x) / len(x)
    if n < 2 or variance <= 0.0:
        return 1.0
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(x, size)) ** 2
    correlation = np.fft.irfft(spectrum, size)[:n] / (np.arange(n, 0, -1) * variance)
    negative = np.flatnonzero(correlation[1:] <= 0.0)
    last = negative[0] if len(negative) else n - 1
    k = np.arange(1, last + 1)
    return max(1.0, 1.0 + 2.0 * float(((1.0 - k / n) * correlation[1 : last + 1]).sum()))


def mean_and_error(series: ArrayLike) -> Estimate:
    """Mean of a correlated series; its error is sqrt(variance g / n), g the statistical inefficiency.

    Parameters
    ----------
    series : (n,) array

    Returns
    -------
    Estimate
        The error is NaN for less than two values.

    Raises
    ------
    ValueError
        If the series is empty.
    """
    x = np.asarray(series, dtype=np.float64)
    if len(x) == 0:
        raise ValueError("expected at least one value to average, got none")
    if len(x) < 2:
        return Estimate(float(x[0]), float("nan"))
    error = x.std(ddof=1) * np.sqrt(statistical_inefficiency(x) / len(x))
    return Estimate(float(x.mean()), float(error))


def slope_and_error(x: ArrayLike, y: ArrayLike) -> Estimate:
    """Slope of a straight line through a series whose residuals are correlated.

    Ordinary least squares; the variance of the slope is that of independent residuals times their
    statistical inefficiency.

    Parameters
    ----------
    x, y : (n,) arrays

    Returns
    -------
    Estimate
        In units of y per unit of x; the error is NaN for less than four points.

    Raises
    ------
    ValueError
        If there are less than two points, or all x are equal.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(x) < 2 or np.ptp(x) == 0.0:
        raise ValueError(f"expected two points or more at different places for a slope, got {x}")
    centred = x - x.mean()
    weight = float(centred @ centred)
    slope = float(centred @ y) / weight
    if len(x) < 4:
        return Estimate(slope, float("nan"))
    residuals = y - y.mean() - slope * centred
    variance = float(residuals @ residuals) / (len(x) - 2)
    error = np.sqrt(variance / weight * statistical_inefficiency(residuals))
    return Estimate(slope, float(error))


def combine(estimates: list[Estimate]) -> Estimate:
    """Average of independent runs; the error is the larger of their scatter and of what each one claims.

    Raises
    ------
    ValueError
        If there is none.
    """
    if not estimates:
        raise ValueError("expected at least one estimate, got none")
    values = np.array([e.value for e in estimates])
    claimed = np.sqrt(np.sum([e.error**2 for e in estimates])) / len(values)
    if len(values) == 1:
        return estimates[0]
    scatter = values.std(ddof=1) / np.sqrt(len(values))
    return Estimate(float(values.mean()), float(np.fmax(claimed, scatter)))
