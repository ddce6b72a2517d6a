"""Simulations at constant energy of one model with longer and longer steps, and how fast each is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlip_engines.simulations.drift import conservation
from mlip_engines.simulations.pace import Limits, Pace, respa_ms
from mlip_engines.simulations.pace_search import PaceSearch
from mlip_engines.simulations.run import simulate
from mlip_engines.simulations.simulation import Forces, Simulation

if TYPE_CHECKING:
    from ase import Atoms

FEWEST_OUTER_STEPS = 80  # of a simulation, for a drift with an error
LONGER = 3.0  # times the simulation if its drift or fluctuation is undecided


class ConstantEnergy:
    """Simulations of one model at constant energy, each kept in a folder of its own.

    Parameters
    ----------
    model : Path
    start : ase.Atoms
        With velocities: all simulations begin with the same state.
    engine : str
    conservative_ms, non_conservative_ms : float
        Of a step of C and of NC, measured in turns. The times of all choices are computed from them: what else the
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
        engine: str,
        conservative_ms: float,
        non_conservative_ms: float,
        limits: Limits,
        picoseconds: float,
        folder: Path,
        say: Callable[[str], None],
    ):
        self.model, self.start, self.engine, self.limits = model, start, engine, limits
        self.conservative_ms, self.non_conservative_ms = conservative_ms, non_conservative_ms
        self.picoseconds, self.folder, self.say = picoseconds, folder, say

    def pace(self, forces: Forces, inner_step_fs: float) -> Pace:
        """Simulate with one choice; longer if drift or fluctuation is undecided."""
        found = self._pace(forces, inner_step_fs, self.picoseconds)
        if found.verdict(self.limits) == "undecided":
            found = self._pace(forces, inner_step_fs, LONGER * self.picoseconds)
        drift = found.drift
        fluctuation, error = found.fluctuation_meV_per_atom, found.fluctuation_error_meV_per_atom
        self.say(
            f"{found.label}: {found.seconds_per_ps:.3g} s/ps, "
            + (
                f"blew up: {found.stopped}"
                if found.stopped
                else f"drift {drift.value:+.3f} ± {drift.error:.3f} meV/atom/ps, fluctuation {fluctuation:.3f} ± "
                f"{error:.3f} meV/atom"
            )
            + f", {found.verdict(self.limits)}"
        )
        return found

    @property
    def search(self) -> PaceSearch:
        """The search among simulations of this model."""
        return PaceSearch(self.pace, self.limits, self.conservative_ms, self.non_conservative_ms)

    def conservative(self, inner_step_fs: float) -> list[Pace]:
        """Find how long a step of C may be."""
        return self.search.conservative(inner_step_fs)

    def respa(
        self,
        inner_step_fs: float,
        c_paces: list[Pace],
        allows: Callable[[Forces, float], bool] | None = None,
    ) -> list[Pace]:
        """Find how large M may be, and whether longer inner steps pay; only steps that ``allows`` returns true for."""
        search = self.search if allows is None else replace(self.search, allows=allows)
        return search.respa(inner_step_fs, c_paces)

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
            self.model, self.start, simulation, self.engine, self.folder / simulation.name
        )
        found = conservation(self.start, [trajectory])
        ms = respa_ms(forces.inner_steps, self.conservative_ms, self.non_conservative_ms)
        return Pace.of(forces, inner_step_fs, ms, found)
