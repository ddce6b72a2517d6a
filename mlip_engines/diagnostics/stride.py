"""How many inner steps does the model carry? The largest stride of r-RESPA whose energy drift stays below a limit.

A stride M is taken if it and all smaller strides that were tried drift by less than the limit, beyond what their
standard errors explain: |drift| + error <= limit. Strides are limited by resonance: when the outer step
comes close to half the period of a fast vibration, the kicks of the correction pump energy into it.

References
----------
Schlick, Barth, Mandziuk, Annu. Rev. Biophys. Biomol. Struct. 26, 181 (1997), for resonance; Bigi, Langer,
Ceriotti, ICML 2025 (arXiv:2412.11569).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.figures import panels
from mlip_engines.diagnostics.nve import nve_simulation, summary
from mlip_engines.diagnostics.result import Result, Section, Table, number, with_error
from mlip_engines.simulations.simulation import Simulation, Trajectory

if TYPE_CHECKING:
    from mlip_engines.simulations.engine import Engine

DRIFT = "drift_meV_per_atom_per_ps"


def largest_stride(strides: dict[int, tuple[float, float]], limit: float) -> tuple[int, list[int]]:
    """Return the largest M that passes with all smaller ones, and the strides that are undecided.

    Parameters
    ----------
    strides : dict of int to (drift, error)
        In the unit of the limit; NaN for a run that blew up.
    limit : float

    Returns
    -------
    int
        1 (conservative forces in every step) if none passes.
    list of int
        Those before the first that fails whose error reaches across the limit: longer runs would tell.
    """
    best, undecided, open_end = 1, [], True
    for m in sorted(strides):
        drift, error = strides[m]
        error = 0.0 if not np.isfinite(error) else error
        passes = np.isfinite(drift) and abs(drift) + error <= limit
        fails = not np.isfinite(drift) or abs(drift) - error > limit
        if fails:
            break
        if not passes:
            undecided.append(m)
        open_end = open_end and passes
        if open_end:
            best = m
    return best, undecided


class Stride:
    """The largest stride, from the trajectories at constant energy."""

    name: ClassVar[str] = "stride"
    title: ClassVar[str] = "The stride it carries"
    needs_engine: ClassVar[bool] = True
    after: ClassVar[tuple[str, ...]] = ()

    def simulations(
        self, case: Case, ensembles: tuple[str, ...], earlier: dict[str, Result]
    ) -> dict[str, Simulation]:
        """Return trajectories at constant energy, the same as those of ``nve``."""
        return {
            f"{forces.file_name}.{run}": nve_simulation(case, forces, run)
            for run in range(case.settings.runs)
            for forces in case.force_choices(case.settings.strides)
            if forces.kind != "non_conservative"
        }

    def evaluations(self, case: Case) -> float:
        """Return 0: the trajectories are counted apart."""
        return 0.0

    def measure(
        self,
        case: Case,
        trajectories: dict[str, Trajectory],
        earlier: dict[str, Result],
        engine: Engine | None = None,
    ) -> Result:
        """Compare each drift with the limit."""
        limit = case.settings.drift_limit_meV_per_atom_per_ps
        drifts: dict[str, Any] = {}
        for forces in case.force_choices(case.settings.strides):
            keys = [k for k in trajectories if k.rsplit(".", 1)[0] == forces.file_name]
            if not keys:
                continue
            found = summary(case.atoms, [trajectories[key] for key in keys])
            blown_up = bool(found["stopped"])
            drifts[forces.file_name] = {
                "inner_steps": forces.inner_steps,
                DRIFT: float("nan") if blown_up else found.get(DRIFT, float("nan")),
                f"{DRIFT}_error": found.get(f"{DRIFT}_error", float("nan")),
                "blown_up": blown_up,
            }
        strides = {
            v["inner_steps"]: (v[DRIFT], v[f"{DRIFT}_error"])
            for name, v in drifts.items()
            if name.startswith("M")
        }
        best, undecided = largest_stride(strides, limit)
        return Result(
            {
                "limit_meV_per_atom_per_ps": limit,
                "inner_step_fs": case.settings.inner_step_fs,
                "largest_inner_steps": best,
                "outer_step_fs": best * case.settings.inner_step_fs,
                "undecided_inner_steps": undecided,
                "strides": drifts,
            }
        )

    def render(self, result: Result) -> Section:
        """Words, a table and the resonance map."""
        v = result.values
        limit, best = v["limit_meV_per_atom_per_ps"], v["largest_inner_steps"]
        section = Section()
        if len(v["strides"]) == 1:
            section.paragraphs.append(
                "The model has no head for non-conservative forces: there is no stride to choose."
            )
        elif best == 1:
            section.paragraphs.append(
                f"No stride keeps the drift below {limit:g} meV/atom/ps: use conservative forces in every step, "
                "a shorter inner step, or a model whose two kinds of forces agree better."
            )
        else:
            section.paragraphs.append(
                f"M = {best} is the largest stride that, with all smaller ones, keeps the drift below {limit:g} "
                f"meV/atom/ps: an outer step of {v['outer_step_fs']:g} fs over inner steps of "
                f"{v['inner_step_fs']:g} fs."
            )
        if v["undecided_inner_steps"]:
            listed = ", ".join(str(m) for m in v["undecided_inner_steps"])
            section.warnings.append(
                f"M = {listed}: the error bar of the drift reaches across the limit. Longer runs (leave out "
                "--quick, or use --picoseconds and --runs) would decide."
            )
        rows = []
        for name, s in v["strides"].items():
            drift = (
                "blew up"
                if s["blown_up"]
                else with_error(s[DRIFT], s[f"{DRIFT}_error"], 3, sign=True)
            )
            rows.append(
                [
                    name.replace("M", "M = "),
                    number(s["inner_steps"] * v["inner_step_fs"], 1),
                    drift,
                ]
            )
        section.tables.append(Table(["forces", "outer step, fs", "drift, meV/atom/ps"], rows))
        section.figures.append(
            (
                "Size of the drift against the outer step. Peaks are resonances with vibrations of twice the outer "
                "step or of the outer step itself. The dashed line is the limit.",
                self._figure(v),
            )
        )
        return section

    @staticmethod
    def _figure(v: dict[str, Any]):
        figure, (axes,) = panels(1)
        points = [
            (s["inner_steps"] * v["inner_step_fs"], abs(s[DRIFT]), s[f"{DRIFT}_error"] or 0.0, name)
            for name, s in v["strides"].items()
            if s[DRIFT] is not None and np.isfinite(s[DRIFT])
        ]
        for outer, drift, error, name in points:
            low = min(error, 0.9 * drift) if drift > 0 else 0.0
            axes.errorbar(outer, drift, [[low], [error]], fmt="o", color="black", capsize=2, ms=4)
            above = len(axes.texts) % 2 == 0  # labels of close points would overlap
            axes.annotate(
                name.replace("M", "M = "),
                (outer, drift + error if above else drift - low),
                xytext=(0, 4 if above else -4),
                textcoords="offset points",
                ha="center",
                va="bottom" if above else "top",
                fontsize=8,
            )
        if points:
            axes.plot([p[0] for p in points], [p[1] for p in points], color="0.7", lw=0.8, zorder=0)
        for name, s in v["strides"].items():
            if s["blown_up"]:
                outer = s["inner_steps"] * v["inner_step_fs"]
                axes.axvline(outer, color="#cb181d", lw=1)
                axes.annotate(
                    f"{name} blew up", (outer, 0.5), xycoords=("data", "axes fraction"), rotation=90
                )
        axes.axhline(v["limit_meV_per_atom_per_ps"], color="0.4", ls="--")
        axes.set(xlabel="outer step, fs", ylabel="|drift|, meV/atom/ps", yscale="log")
        axes.margins(x=0.12, y=0.12)
        return figure
