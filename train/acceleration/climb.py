"""Longer and longer steps at constant energy, until the limits are passed: of C, and of r-RESPA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mlip_engines.simulations import (
    CONSERVATIVE,
    Estimate,
    Forces,
    Simulation,
    conservation,
    simulate,
)
from mlip_engines.simulations.pace import Limits, Pace, fastest, respa_ms
from mlip_train.acceleration.sampling import ENGINE
from mlip_train.acceleration.sizes import Price

CONSERVATIVE_STEPS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)  # in units of the inner step
INNER_STEPS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)
FIRST_INNER_STEPS = 4
LONGER_INNER = (1.5, 2.0, 2.5, 3.0)  # times the inner step; tried where they pay
WORTH = 1.05  # times faster, from which on a longer inner step pays
FEWEST_OUTER_STEPS = 80  # of a simulation, for a drift with an error
LONGER = 3.0  # times the simulation if the drift is undecided


class Climb:
    """Simulations of one model at constant energy, each kept in a folder of its own.

    Parameters
    ----------
    model : Path
    start : ase.Atoms
        With velocities: all simulations begin with the same state.
    price : Price
        Of the steps of C and NC. Times are computed from it, since both are measured in turns, and what else the
        machine does would spoil the times of simulations after each other.
    limits : Limits
    picoseconds : float
        Of each simulation.
    folder : Path
    say : callable
    """

    def __init__(
        self,
        model: Path,
        start: Atoms,
        price: Price,
        limits: Limits,
        picoseconds: float,
        folder: Path,
        say: Callable[[str], None],
    ):
        self.model, self.start, self.price, self.limits = model, start, price, limits
        self.picoseconds, self.folder, self.say = picoseconds, folder, say

    def pace(self, forces: Forces, inner_step_fs: float) -> Pace:
        """Simulate with one choice; longer if the drift is undecided."""
        found = self._pace(forces, inner_step_fs, self.picoseconds)
        if found.verdict(self.limits) == "undecided":
            found = self._pace(forces, inner_step_fs, LONGER * self.picoseconds)
        drift, fluctuation = found.drift, found.fluctuation_meV_per_atom
        self.say(
            f"{found.label}: {found.seconds_per_ps:.3g} s/ps, "
            + (
                f"blew up: {found.stopped}"
                if found.stopped
                else f"drift {drift.value:+.3f} ± {drift.error:.3f} meV/atom/ps, fluctuation {fluctuation:.3f} meV/atom"
            )
            + f", {found.verdict(self.limits)}"
        )
        return found

    def conservative(self, inner_step_fs: float) -> list[Pace]:
        """Find how long a step of C may be."""
        choices = [(CONSERVATIVE, inner_step_fs * x) for x in CONSERVATIVE_STEPS]
        return self._search(choices, 0)

    def respa(self, inner_step_fs: float, c_paces: list[Pace]) -> list[Pace]:
        """Find how large M may be; then try longer inner steps that C could do with, where they would pay."""
        choices = [(Forces("respa", m), inner_step_fs) for m in INNER_STEPS]
        paces = self._search(choices, INNER_STEPS.index(FIRST_INNER_STEPS))
        c_best = fastest(c_paces, self.limits, "conservative")
        for factor in LONGER_INNER:
            best = fastest(paces, self.limits, "respa")
            step = factor * inner_step_fs
            if best is None or c_best is None or step > c_best.inner_step_fs:
                break
            m = max(2, int(best.outer_step_fs / step))
            ms = respa_ms(m, self.price.conservative_ms, self.price.non_conservative_ms)
            if best.seconds_per_ps / (ms / (m * step)) < WORTH:
                continue
            for k in (m, m + 1, m + 2):
                paces.append(self.pace(Forces("respa", k), step))
                if paces[-1].verdict(self.limits) == "fails":
                    break
        return paces

    def _search(self, choices: list[tuple[Forces, float]], first: int) -> list[Pace]:
        """Find the last of ever longer steps that does not fail, by doubling and halving; return all that was tried.

        It takes for granted that beyond a step that fails all others do. A resonance may be narrower than that, but
        then nobody should simulate beyond it either.
        """
        found: dict[int, Pace] = {}
        good, bad, place = -1, len(choices), first
        while good + 1 < bad:
            found[place] = self.pace(*choices[place])
            if found[place].verdict(self.limits) == "fails":
                bad = place
            else:
                good = place
            if bad < len(choices):
                place = (good + bad) // 2
            else:
                place = min(2 * good + 2, len(choices) - 1)
        return [found[k] for k in sorted(found)]

    def _pace(self, forces: Forces, inner_step_fs: float, picoseconds: float) -> Pace:
        outer = forces.inner_steps * inner_step_fs
        simulation = Simulation(
            forces,
            max(picoseconds, FEWEST_OUTER_STEPS * outer / 1000.0),
            inner_step_fs=inner_step_fs,
            row_every_fs=max(4.0, outer),
            chunks=1,
            seed=0,
        )
        trajectory = simulate(
            self.model, self.start, simulation, ENGINE, self.folder / simulation.name
        )
        found = conservation(self.start, [trajectory])
        price = self.price
        ms = respa_ms(forces.inner_steps, price.conservative_ms, price.non_conservative_ms)
        return Pace.of(forces, inner_step_fs, ms, found)


def pace_as_dict(pace: Pace) -> dict[str, Any]:
    """Return plain values, from which :func:`pace_from_dict` makes the pace again."""
    return asdict(pace) | {"drift": list(pace.drift)}


def pace_from_dict(values: dict[str, Any]) -> Pace:
    """Make a pace from what :func:`pace_as_dict` returned."""
    return Pace(
        **{
            **values,
            "forces": Forces(**values["forces"]),
            "drift": Estimate(*(float(x) if x is not None else np.nan for x in values["drift"])),
        }
    )
