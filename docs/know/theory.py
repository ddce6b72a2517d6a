"""Draw the figures of the page on theory, from models small enough to be solved on paper.

    python docs/know/theory.py            writes docs/know/schedule.png, work.png, resonance.png

Two dimensions, a spring of constant k = 1, mass 1: the conservative force is C = -r. The non-conservative force adds
what no energy has, a swirl: NC = -r + s (-y, x). Around a circle of radius R it does the work 2 pi s R^2, whichever way
C does none; a particle that goes round gains energy at the rate s / w times the energy (w = 1 is its frequency).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
SWIRL = 0.02
STEP = 0.05  # 126 inner steps are one turn
Force = Callable[[NDArray], NDArray]


def conservative(position: NDArray) -> NDArray:
    """Return minus the gradient of r^2/2."""
    return -position


def non_conservative(position: NDArray) -> NDArray:
    """Return the same with a swirl, which is not the gradient of anything."""
    return -position + SWIRL * np.array([-position[1], position[0]])


def correction(position: NDArray) -> NDArray:
    """Return C - NC."""
    return conservative(position) - non_conservative(position)


def energies(
    fast: Force, slow: Force | None, inner_steps: int, outer_steps: int, inner_step: float = STEP
) -> tuple[NDArray, NDArray]:
    """Integrate a circular orbit by r-RESPA, and return times and energies at the ends of outer steps.

    Parameters
    ----------
    fast : callable
        The force of the inner steps, from a position to a force, both (2,).
    slow : callable, optional
        The force of the outer steps; without it this is velocity Verlet with ``fast``.
    inner_steps : int
        M.
    outer_steps : int
    inner_step : float
        In units of 1 / w.

    Returns
    -------
    (outer_steps + 1,) array
        Times, in turns of the orbit.
    (outer_steps + 1,) array
        The energy v^2/2 + r^2/2, which belongs to ``conservative``.

    References
    ----------
    Tuckerman, Berne, Martyna, J. Chem. Phys. 97, 1990 (1992), eq. 2.20.
    """
    position, velocity = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    outer_step = inner_steps * inner_step
    found = [0.5 * (velocity @ velocity + position @ position)]
    for _ in range(outer_steps):
        if slow is not None:
            velocity = velocity + 0.5 * outer_step * slow(position)
        for _ in range(inner_steps):
            velocity = velocity + 0.5 * inner_step * fast(position)
            position = position + inner_step * velocity
            velocity = velocity + 0.5 * inner_step * fast(position)
        if slow is not None:
            velocity = velocity + 0.5 * outer_step * slow(position)
        found.append(0.5 * (velocity @ velocity + position @ position))
    return np.arange(outer_steps + 1) * outer_step / (2 * np.pi), np.array(found)


def growth(outer_step: NDArray, period: float, part: float) -> NDArray:
    """Return how fast the amplitude of a vibration grows when a part of its spring acts once per outer step.

    The rest of the spring, ``1 - part`` of it, is integrated exactly, so nothing else can be unstable. Over one outer
    step T, half a kick, the exact motion and half a kick have the trace 2 cos(u) - (d T / w0) sin(u), with w0 the
    frequency of the rest, u = w0 T and d = part w^2. Beyond 2 the amplitude grows.

    Parameters
    ----------
    outer_step : array, fs
    period : float, fs
        Of the whole spring.
    part : float
        C - NC over C, as force constants.

    Returns
    -------
    array, 1/ps
    """
    w = 2 * np.pi / period
    w0 = w * np.sqrt(1.0 - part)
    half_trace = np.cos(w0 * outer_step) - 0.5 * part * w**2 * outer_step / w0 * np.sin(
        w0 * outer_step
    )
    beyond = np.maximum(np.abs(half_trace), 1.0)
    return 1000.0 * np.arccosh(beyond) / outer_step


def draw_schedule(axes, inner_steps: int = 4, outer_steps: int = 3) -> None:
    """Draw when each force acts."""
    inner = np.arange(inner_steps * outer_steps + 1)
    outer = inner[::inner_steps]
    axes.vlines(inner, 0.0, 1.0, color="tab:blue", lw=4, label="NC: every inner step")
    axes.vlines(outer + 0.14, 0.0, 2.0, color="tab:red", lw=4, label="C - NC: every outer step")
    axes.axhline(0.0, color="black", lw=1)
    for k in inner[:-1]:
        axes.annotate("", (k + 1, -0.25), (k, -0.25), arrowprops={"arrowstyle": "->", "lw": 1})
    for k in outer[:-1]:
        axes.text(k + 0.5 * inner_steps, -0.75, f"{inner_steps} small moves", ha="center")
    axes.set(xlabel="time, in inner steps", yticks=[], ylim=(-1.0, 2.9), xticks=inner)
    axes.legend(loc="upper right", ncols=2, frameon=False)


def draw_work(axes) -> None:
    """Draw the energy of an orbit with each kind of force."""
    for label, fast, slow, inner_steps, color in (
        ("C", conservative, None, 1, "black"),
        ("NC alone", non_conservative, None, 1, "tab:blue"),
        ("r-RESPA, M = 4", non_conservative, correction, 4, "tab:red"),
    ):
        style = "--" if slow is not None else "-"  # it lies on C
        turns, energy = energies(fast, slow, inner_steps, 2600 // inner_steps)
        axes.plot(turns, energy / energy[0], label=label, color=color, ls=style, lw=2)
    axes.set(xlabel="turns of the orbit", ylabel="energy / energy at the start", yscale="log")
    axes.legend(frameon=False)


def draw_resonance(axes, period: float = 9.5) -> None:
    """Draw where a vibration with the period of the O-H stretch is unstable."""
    steps = np.linspace(0.2, 12.0, 4000)
    for part, color in ((0.2, "tab:red"), (0.05, "tab:orange"), (0.01, "tab:blue")):
        label = f"C - NC is {100 * part:.0f} % of the spring"
        axes.plot(steps, growth(steps, period, part), color=color, label=label)
    for k in (1, 2):
        axes.axvline(0.5 * k * period, color="grey", lw=0.8, ls=":")
    axes.set(xlabel="outer step, fs", ylabel="growth of the amplitude, 1/ps", xlim=(0, 12))
    axes.legend(frameon=False, loc="center", bbox_to_anchor=(0.575, 0.75), fontsize="small")


def main() -> None:
    """Write the figures."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=HERE, help="folder of the figures")
    options = parser.parse_args()
    for name, draw, height in (
        ("schedule", draw_schedule, 2.6),
        ("work", draw_work, 3.6),
        ("resonance", draw_resonance, 3.6),
    ):
        figure, axes = pyplot.subplots(figsize=(7.0, height), layout="constrained")
        draw(axes)
        figure.savefig(options.output / f"{name}.png", dpi=110)
        pyplot.close(figure)


if __name__ == "__main__":
    main()
