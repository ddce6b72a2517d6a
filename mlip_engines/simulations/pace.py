r"""The fair speed of r-RESPA: the best steps of C and of r-RESPA under the same limits of energy drift and fluctuation.

A speed-up over conservative forces (C) at the inner step flatters r-RESPA, because C conserves energy at longer steps
too. So both choose freely: C its step, r-RESPA its inner step and its number of inner steps M. Of what stays within
the same :class:`Limits`, the fastest of each is compared, in seconds per picosecond of simulated time.

The fluctuation is the standard deviation of the total energy about its line, per atom. It falls as one over the square
root of the number of atoms, so that a limit belongs to a system of one size.

>>> from mlip_engines.simulations.statistics import Estimate
>>> from mlip_engines.simulations.simulation import CONSERVATIVE, Forces
>>> limits = Limits(drift_meV_per_atom_per_ps=0.1, fluctuation_meV_per_atom=0.1)
>>> quiet = Estimate(0.0, 0.01)
>>> paces = [
...     Pace(CONSERVATIVE, 1.0, 10.0, quiet, 0.08),          # 10 ms a step of 1 fs: 10 s/ps
...     Pace(CONSERVATIVE, 2.0, 10.0, quiet, 0.32),          # fluctuates too much
...     Pace(Forces("respa", 4), 1.0, 16.0, quiet, 0.08),    # 16 ms an outer step of 4 fs: 4 s/ps
... ]
>>> fair_gain(paces, limits)
2.5
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from mlip_engines.simulations.drift import Conservation
from mlip_engines.simulations.simulation import Forces
from mlip_engines.simulations.statistics import Estimate

SECONDS_PER_DAY, PS_PER_NS, MS_PER_S, FS_PER_PS = 86400.0, 1000.0, 1000.0, 1000.0


@dataclass(frozen=True)
class Limits:
    """What a simulation at constant energy may do to its energy.

    Parameters
    ----------
    drift_meV_per_atom_per_ps : float
    fluctuation_meV_per_atom : float

    Raises
    ------
    ValueError
        If one is not positive.
    """

    drift_meV_per_atom_per_ps: float = 0.1
    fluctuation_meV_per_atom: float = 0.1

    def __post_init__(self):
        for name in ("drift_meV_per_atom_per_ps", "fluctuation_meV_per_atom"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


@dataclass(frozen=True)
class Pace:
    """How fast one choice of forces and steps is, and how well it conserves the energy.

    Parameters
    ----------
    forces : Forces
        Conservative, or r-RESPA with its M.
    inner_step_fs : float
        The time step of C.
    ms_per_outer_step : float
        With all its inner steps.
    drift : Estimate, meV/atom/ps
    fluctuation_meV_per_atom : float
    stopped : str
        Why the simulation blew up; empty if it did not.
    fluctuation_error_meV_per_atom : float
        Standard error of the fluctuation; 0 where it is not known.
    """

    forces: Forces
    inner_step_fs: float
    ms_per_outer_step: float
    drift: Estimate
    fluctuation_meV_per_atom: float
    stopped: str = ""
    fluctuation_error_meV_per_atom: float = 0.0

    @classmethod
    def of(
        cls, forces: Forces, inner_step_fs: float, ms_per_outer_step: float, found: Conservation
    ) -> Pace:
        """Return the pace of runs whose conservation has been measured."""
        fluctuation = found.fluctuation_meV_per_atom
        error = found.fluctuation_error_meV_per_atom
        return cls(
            forces, inner_step_fs, ms_per_outer_step, found.drift, fluctuation, found.stopped, error
        )

    @property
    def outer_step_fs(self) -> float:
        """The step after which the energy is known."""
        return self.forces.inner_steps * self.inner_step_fs

    @property
    def seconds_per_ps(self) -> float:
        """Time that a simulated picosecond takes."""
        return self.ms_per_outer_step / MS_PER_S * FS_PER_PS / self.outer_step_fs

    @property
    def ns_per_day(self) -> float:
        """Simulated nanoseconds in a day."""
        return SECONDS_PER_DAY / (PS_PER_NS * self.seconds_per_ps)

    @property
    def label(self) -> str:
        """What tables and figures call it."""
        if self.forces.kind == "conservative":
            return f"C, {self.inner_step_fs:g} fs"
        return f"{self.inner_step_fs:g} fs x {self.forces.inner_steps}"

    def verdict(self, limits: Limits) -> str:
        """Say whether it stays within the limits, beyond what the errors of drift and fluctuation explain.

        Returns
        -------
        str
            ``passes``, ``fails``, or ``undecided`` where an error reaches across its limit: a longer simulation would
            tell.
        """
        found = (
            _against(abs(self.drift.value), self.drift.error, limits.drift_meV_per_atom_per_ps),
            self.verdict_of_fluctuation(limits),
        )
        if self.stopped or "fails" in found:
            return "fails"
        return "undecided" if "undecided" in found else "passes"

    def verdict_of_fluctuation(self, limits: Limits) -> str:
        """Say likewise whether the fluctuation alone stays within its limit."""
        return _against(
            self.fluctuation_meV_per_atom,
            self.fluctuation_error_meV_per_atom,
            limits.fluctuation_meV_per_atom,
        )


def _against(value: float, error: float, limit: float) -> str:
    """Return whether a value with its error is below a limit; an error that is not known is none."""
    error = error if math.isfinite(error) else 0.0
    if not math.isfinite(value) or value - error > limit:
        return "fails"
    return "passes" if value + error <= limit else "undecided"


def respa_ms(inner_steps: int, conservative_ms: float, non_conservative_ms: float) -> float:
    """Return the time of an outer step: one full evaluation, which has the inner force with it, and M - 1 cheap ones.

    Parameters
    ----------
    inner_steps : int
    conservative_ms, non_conservative_ms : float
        Of a step of C and of NC.
    """
    return conservative_ms + (inner_steps - 1) * non_conservative_ms


def fastest(paces: Iterable[Pace], limits: Limits, kind: str) -> Pace | None:
    """Return the fastest of the paces of one kind of forces within the limits, None if none is.

    r-RESPA has to pass. C has the benefit of the doubt: a drift or fluctuation that is undecided in a short simulation
    counts for it, so that short simulations cannot make a gain look larger.

    Parameters
    ----------
    paces : iterable of Pace
    limits : Limits
    kind : {"conservative", "respa"}
    """
    enough = ("passes", "undecided") if kind == "conservative" else ("passes",)
    passing = [p for p in paces if p.forces.kind == kind and p.verdict(limits) in enough]
    return min(passing, key=lambda pace: pace.seconds_per_ps, default=None)


@dataclass(frozen=True)
class Fair:
    """C's best and r-RESPA's best under the same limits.

    Parameters
    ----------
    conservative, respa : Pace or None
        None if none stays within the limits.
    """

    conservative: Pace | None
    respa: Pace | None

    @property
    def gain(self) -> float:
        """How many times faster r-RESPA's best is; NaN if either has nothing within the limits."""
        if self.conservative is None or self.respa is None:
            return float("nan")
        return self.conservative.seconds_per_ps / self.respa.seconds_per_ps

    def words(self) -> str:
        """Say it in a sentence, with seconds per picosecond and nanoseconds per day of both."""
        if self.conservative is None:
            return "No step of C that was tried stays within the limits."
        c = f"C is fastest at {self.conservative.inner_step_fs:g} fs ({_speed(self.conservative)})"
        if self.respa is None:
            return f"{c}, and no r-RESPA that was tried stays within the same limits."
        return f"{c}, r-RESPA at {self.respa.label} ({_speed(self.respa)}): {self.gain:.2f} times as fast."


def _speed(pace: Pace) -> str:
    return f"{pace.seconds_per_ps:.3g} s/ps, {pace.ns_per_day:.3g} ns/day"


def fair(paces: Iterable[Pace], limits: Limits) -> Fair:
    """Return the fastest of C and of r-RESPA within the same limits: the comparison that every table should have."""
    paces = list(paces)
    return Fair(fastest(paces, limits, "conservative"), fastest(paces, limits, "respa"))


def fair_gain(paces: Iterable[Pace], limits: Limits) -> float:
    """Return how many times faster r-RESPA's best is than C's best under the same limits.

    NaN if either has nothing within the limits.
    """
    return fair(paces, limits).gain
