"""Longer and longer steps at constant energy, until the limits are passed: of C, and of r-RESPA.

The search asks for the :class:`~mlip_engines.simulations.pace.Pace` of one choice at a time, so that it does not matter
who simulates and who takes the times.

>>> from mlip_engines.simulations.pace import Limits, Pace, fair, respa_ms
>>> from mlip_engines.simulations.statistics import Estimate
>>> def pace(forces, step):  # C holds up to 1 fs, r-RESPA up to an outer step of 3 fs; 20 ms for C, 3 ms for NC
...     longest = 1.0 if forces.kind == "conservative" else 3.0
...     drift = 1.0 if forces.inner_steps * step > longest else 0.0
...     return Pace(forces, step, respa_ms(forces.inner_steps, 20.0, 3.0), Estimate(drift, 0.01), 0.05)
>>> search = PaceSearch(pace, Limits(), 20.0, 3.0)
>>> c = search.conservative(0.5)
>>> found = fair([*c, *search.respa(0.5, c)], Limits())
>>> found.conservative.label, found.respa.label, round(found.gain, 2)
('C, 1 fs', '1 fs x 3', 2.31)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mlip_engines.simulations.pace import Limits, Pace, fastest, respa_ms
from mlip_engines.simulations.simulation import CONSERVATIVE, Forces

CONSERVATIVE_STEPS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)  # in units of the inner step
INNER_STEPS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)
FIRST_INNER_STEPS = 4
LONGER_INNER = (1.5, 2.0, 2.5, 3.0)  # times the inner step; tried where they pay
WORTH = 1.05  # times faster, from which on a longer inner step pays


@dataclass(frozen=True)
class PaceSearch:
    """The search for the fastest steps within the limits.

    Parameters
    ----------
    pace : callable
        Is given forces and an inner step in fs, simulates, and returns the pace.
    limits : Limits
    conservative_ms, non_conservative_ms : float
        Of a step of C and of NC: what a longer inner step could gain follows from them.
    allows : callable
        Is given forces and an inner step in fs, and says whether r-RESPA with them is worth a simulation. The
        smallest M is tried in any case.
    """

    pace: Callable[[Forces, float], Pace]
    limits: Limits
    conservative_ms: float
    non_conservative_ms: float
    allows: Callable[[Forces, float], bool] = lambda forces, inner_step_fs: True  # noqa: E731

    def conservative(self, inner_step_fs: float) -> list[Pace]:
        """Find how long a step of C may be; return all paces that were tried."""
        choices = [(CONSERVATIVE, inner_step_fs * x) for x in CONSERVATIVE_STEPS]
        return self._search(choices, 0)

    def respa(self, inner_step_fs: float, c_paces: list[Pace]) -> list[Pace]:
        """Find how large M may be; then try longer inner steps that C could do with, where they would pay."""
        choices = [(Forces("respa", m), inner_step_fs) for m in INNER_STEPS]
        choices = [c for k, c in enumerate(choices) if k == 0 or self.allows(*c)]
        paces = self._search(choices, min(INNER_STEPS.index(FIRST_INNER_STEPS), len(choices) - 1))
        c_best = fastest(c_paces, self.limits, "conservative")
        for factor in LONGER_INNER:
            best = fastest(paces, self.limits, "respa")
            step = factor * inner_step_fs
            if best is None or c_best is None or step > c_best.inner_step_fs:
                break
            m = max(2, int(best.outer_step_fs / step))
            ms = respa_ms(m, self.conservative_ms, self.non_conservative_ms)
            if best.seconds_per_ps / (ms / (m * step)) < WORTH:
                continue
            for k in (m, m + 1, m + 2):
                if not self.allows(Forces("respa", k), step):
                    break
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
