"""Which of many structures simulations start from, and how long those may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mlip_train.acceleration.request import Request

MOST_STARTS = 6
SHORTEST_PS, LONGEST_PS = 0.05, 2.0  # of one simulation
FEWEST_FRAMES, MOST_FRAMES = 16, 400  # to be labelled, of all simulations of a round
CLOSEST_FRAMES_FS = 10.0  # frames that are closer in time are nearly the same


class Start(NamedTuple):
    """What a simulation begins with, and what its baths keep."""

    structure: int  # index
    temperature_K: float
    pressure_bar: float | None = None  # constant volume if there is none

    @property
    def label(self) -> str:
        """What tables call it."""
        pressure = "" if self.pressure_bar is None else f", {self.pressure_bar:g} bar"
        return f"structure {self.structure}, {self.temperature_K:g} K{pressure}"


@dataclass(frozen=True)
class Plan:
    """The simulations that frames are taken from.

    Parameters
    ----------
    starts : tuple of Start
    picoseconds : float
        Of each.
    frames : int
        Of each.
    """

    starts: tuple[Start, ...]
    picoseconds: float
    frames: int

    @property
    def frame_every_fs(self) -> float:
        """Between two frames."""
        return 1000.0 * self.picoseconds / self.frames


def plan_sampling(
    request: Request, seconds: float, seconds_per_ps: float, seconds_per_label: float
) -> Plan:
    """Divide the time of a round's sampling between structures, temperatures, simulation and labels.

    The first structure and the hottest simulations come first, so that they are there if time allows for few only.

    Parameters
    ----------
    request : Request
    seconds : float
        For simulations and labels together, half for each.
    seconds_per_ps : float
        What a simulated picosecond takes.
    seconds_per_label : float
        What one evaluation of a structure takes.
    """
    count = len(request.structures)
    chosen = sorted(
        {round(k * (count - 1) / max(1, MOST_STARTS - 1)) for k in range(MOST_STARTS)}
        if count > MOST_STARTS
        else range(count)
    )
    temperatures = sorted(request.temperatures_K, reverse=True)
    pressures: tuple[float | None, ...] = request.pressures_bar or (None,)
    pairs = [Start(k, t, p) for p in pressures for t in temperatures for k in chosen]
    affordable = 0.5 * seconds / max(seconds_per_ps, 1e-9)  # ps in all
    pairs = pairs[: max(1, int(affordable / SHORTEST_PS))]
    picoseconds = min(LONGEST_PS, max(SHORTEST_PS, affordable / len(pairs)))
    wanted = int(0.5 * seconds / max(seconds_per_label, 1e-9))
    frames = min(MOST_FRAMES, max(FEWEST_FRAMES, wanted)) // len(pairs)
    frames = max(2, min(frames, int(1000.0 * picoseconds / CLOSEST_FRAMES_FS)))
    return Plan(tuple(pairs), picoseconds, frames)
