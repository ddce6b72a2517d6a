"""Functions of a trajectory, such as g(r) or a spectrum, for each kind of forces, and their differences to C.

Errors are standard errors from blocks of time, the start of each trajectory left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlip_engines.diagnostics.appearance import label_of, style_of
from mlip_engines.report.figures import panels
from mlip_engines.simulations.trajectory import Trajectory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLOCKS = 5
LEFT_OUT = 5  # the first of so many parts of a trajectory
MOST_SHOWN = 4  # functions beside each other


def grouped(
    trajectories: dict[str, Trajectory],
) -> tuple[dict[str, list[Trajectory]], list[str]]:
    """Return trajectories by the name of their forces, C first, and words about those that are left out.

    What stopped before its time is: it would shorten the blocks of all others. Without C there is nothing to compare
    with, and none is returned.
    """
    result: dict[str, list[Trajectory]] = {}
    words = []
    for name, run in trajectories.items():
        forces = name.split(".")[1]
        if run.stopped or len(run.frame_time_ps) <= 2 * BLOCKS:
            why = f"ended after {run.time_ps[-1]:.2f} ps" if run.stopped else "is too short"
            words.append(f"A run with {label_of(forces)} {why} and is left out.")
        else:
            result.setdefault(forces, []).append(run)
    if "C" not in result:
        return {}, [*words, "There is no run with C to compare with."]
    return result, words


def picoseconds(by_forces: dict[str, list[Trajectory]]) -> dict[str, float]:
    """Return the time that the frames of each kind of forces cover, ps."""
    return {f: float(sum(run.frame_time_ps[-1] for run in runs)) for f, runs in by_forces.items()}


def in_blocks(n: int) -> list[NDArray[np.int_]]:
    """Return indices of n frames in BLOCKS pieces, the start left out, without empty pieces."""
    return [b for b in np.array_split(np.arange(n // LEFT_OUT, n), BLOCKS) if len(b)]


def mean_of_blocks(values: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
    """Mean and standard error (k,) of block values (b, k)."""
    error = (
        values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan * values[0]
    )
    return values.mean(axis=0), error


def difference_to_c(
    arrays: dict[str, NDArray], name: str, forces: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a function less that of C, and the standard error of the difference."""
    difference = arrays[f"{name}_{forces}"] - arrays[f"{name}_C"]
    return difference, np.hypot(arrays[f"{name}_{forces}_error"], arrays[f"{name}_C_error"])


def largest_difference(arrays: dict[str, NDArray], name: str, forces: str) -> dict[str, float]:
    """Largest difference to C: where, how much, its error, and the share of bins beyond two errors."""
    difference, error = difference_to_c(arrays, name, forces)
    use = np.isfinite(difference) & np.isfinite(error) & (error > 0.0)
    if not use.any():
        nan = float("nan")
        return {"difference": nan, "error": nan, "r_angstrom": 0.0, "beyond": nan}
    ratio = np.where(use, np.abs(difference) / np.where(use, error, 1.0), 0.0)
    k = int(np.argmax(np.where(use, np.abs(difference), 0.0)))
    return {
        "difference": float(difference[k]),
        "error": float(error[k]),
        "r_angstrom": float(arrays["r_angstrom"][k]),
        "beyond": float((ratio[use] > 2.0).mean()),
    }


def comparison_figure(
    x: NDArray, arrays: dict[str, NDArray], shown: dict[str, list[str]], *, x_label: str
) -> tuple[Figure, NDArray]:
    """Draw functions above and their differences to C below, with bands of two standard errors.

    Parameters
    ----------
    x : (k,) array
    arrays : dict of str to (k,) array
        ``FUNCTION_FORCES`` and ``FUNCTION_FORCES_error``.
    shown : dict of str to list of str
        The kinds of forces of each function; four functions at most are drawn.
    x_label : str

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : (2, n) array of matplotlib.axes.Axes
    """
    names = list(shown)[:MOST_SHOWN]
    figure, _ = panels(len(names), height=5.2)
    figure.clear()
    axes = figure.subplots(2, len(names), sharex=True, squeeze=False)
    for (above, below), name in zip(axes.T, names, strict=True):
        for forces in shown[name]:
            style = style_of(forces)
            above.plot(x, arrays[f"{name}_{forces}"], **style)
            if forces == "C":
                error = 2.0 * arrays[f"{name}_C_error"]
                below.fill_between(x, -error, error, color="0.85", lw=0)
                continue
            difference, error = difference_to_c(arrays, name, forces)
            low, high = difference - 2.0 * error, difference + 2.0 * error
            below.plot(x, difference, **style)
            below.fill_between(x, low, high, color=style["color"], alpha=0.2, lw=0)
        below.axhline(0.0, color="0.5", lw=0.8)
        above.set_title(name)
        below.set_xlabel(x_label)
    axes[0, 0].legend(frameon=False, fontsize="small")
    return figure, axes
