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

from typing import TYPE_CHECKING, Any

import numpy as np

from mlip_engines.diagnostics.appearance import label_of
from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.diagnostic import (
    Ensembles,
    Results,
    Simulations,
    Trajectories,
    TrajectoryDiagnostic,
)
from mlip_engines.diagnostics.fair_speed import (
    fair_of,
    fair_simulations,
    fair_table,
    fair_words,
    measure_fair,
)
from mlip_engines.diagnostics.nve import DRIFT
from mlip_engines.diagnostics.result import Result, Section, Table
from mlip_engines.diagnostics.runs import independent_runs
from mlip_engines.report.figures import panels
from mlip_engines.report.numbers import number, with_error
from mlip_engines.simulations.drift import conservation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Stride(TrajectoryDiagnostic):
    """The largest stride, from the trajectories at constant energy."""

    name = "stride"
    title = "Stride"

    def simulations(self, case: Case, ensembles: Ensembles, earlier: Results) -> Simulations:
        """Trajectories at constant energy, those of ``nve`` and some at other steps."""
        return {
            name: simulation
            for run in range(case.settings.runs)
            for name, simulation in fair_simulations(case, run).items()
        }

    def measure(self, case: Case, trajectories: Trajectories) -> Result:
        """Compare each drift with the limit."""
        limit = case.settings.drift_limit_meV_per_atom_per_ps
        by_name = independent_runs(trajectories)
        drifts: dict[str, Any] = {}
        for forces in case.force_choices(case.settings.strides):
            if (name := forces.file_name) not in by_name:
                continue
            found = conservation(case.atoms, by_name[name])
            blown_up = bool(found.stopped)
            drifts[name] = {
                "inner_steps": forces.inner_steps,
                DRIFT: float("nan") if blown_up else found.drift.value,
                f"{DRIFT}_error": found.drift.error,
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
                "fair": measure_fair(case, trajectories),
            }
        )

    def render(self, result: Result) -> Section:
        """Words, a table and the resonance map."""
        v = result.values
        caption = (
            "Size of the drift against the outer step. Peaks are resonances with vibrations of twice the outer "
            "step or of the outer step itself. The dashed line is the limit."
        )
        section = Section([_words(v)], [_table(v)], [(caption, _figure(v))])
        if v.get("fair"):
            section.paragraphs.append(
                "C conserves energy at longer steps than the inner step, so a speed-up at the inner step flatters "
                "r-RESPA. The last table has both at several steps: the fair gain, at the head of this report where "
                "the cost was measured, is that of the fastest of each within the same limits. The fluctuation "
                "is the standard deviation of the total energy about its line; it falls as one over the square root "
                "of the number of atoms."
            )
            section.tables.append(fair_table(v["fair"]))
        if v["undecided_inner_steps"]:
            section.warnings.append(
                f"M = {_listed(v)}: the error bar of the drift reaches across the limit. Longer runs would "
                "decide: leave out --quick, or use --picoseconds and --runs."
            )
        return section

    def verdict(self, result: Result, beside: Results) -> str:
        """What to use, at what drift and speed-up."""
        v = result.values
        best, limit = v["largest_inner_steps"], v["limit_meV_per_atom_per_ps"]
        drift = recommended(result)
        measured = with_error(drift.get(DRIFT), drift.get(f"{DRIFT}_error"), 3, sign=True)
        fair = self._fair_words(v, beside)
        if len(v["strides"]) == 1:
            return (
                "the model has no head for non-conservative forces, so there is no stride to choose. Its energy drifts "
                f"by {measured} meV/atom/ps with a step of {v['inner_step_fs']:g} fs.{fair}"
            )
        if best == 1:
            return (
                f"use conservative forces in every step ({v['inner_step_fs']:g} fs); their energy drifts by "
                f"{measured} meV/atom/ps. No stride of r-RESPA that was tried stays below {limit:g}.{fair}"
            )
        speed = speed_up(result, beside)
        faster = f", {number(speed)} times as fast as C at the inner step" if speed else ""
        undecided = (
            f" M = {_listed(v)} may be small enough too: longer runs would decide."
            if v["undecided_inner_steps"]
            else ""
        )
        return (
            f"use r-RESPA with M = {best} (inner step {v['inner_step_fs']:g} fs, outer step "
            f"{v['outer_step_fs']:g} fs). The energy drifts by {measured} meV/atom/ps (limit {limit:g}){faster}."
            f"{undecided}{fair}"
        )

    def _fair_words(self, values: dict[str, Any], beside: Results) -> str:
        found = fair_of(values.get("fair"), beside)
        return "" if found is None else f" {fair_words(values['fair'], found)}"


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


def recommended(result: Result) -> dict[str, Any]:
    """Return drift and steps of the stride that was found; those of C, if none was."""
    return result.values["strides"].get(_recommended_name(result), {})


def speed_up(result: Result, beside: Results) -> float | None:
    """Return how much faster than C the stride that was found is; None if that was not measured."""
    if "cost" not in beside:
        return None
    modes = beside["cost"].values["modes"]
    return modes.get(_recommended_name(result), {}).get("speed_up_over_C")


def _recommended_name(result: Result) -> str:
    best = result.values["largest_inner_steps"]
    return "C" if best == 1 else f"M{best}"


def _listed(v: dict[str, Any]) -> str:
    return ", ".join(str(m) for m in v["undecided_inner_steps"])


def _words(v: dict[str, Any]) -> str:
    limit, best = v["limit_meV_per_atom_per_ps"], v["largest_inner_steps"]
    if len(v["strides"]) == 1:
        return "The model has no head for non-conservative forces: there is no stride to choose."
    if best == 1:
        return (
            f"No stride keeps the drift below {limit:g} meV/atom/ps: use conservative forces in every step, "
            "a shorter inner step, or a model whose two kinds of forces agree better."
        )
    return (
        f"M = {best} is the largest stride that, with all smaller ones, keeps the drift below {limit:g} "
        f"meV/atom/ps: an outer step of {v['outer_step_fs']:g} fs over inner steps of {v['inner_step_fs']:g} fs."
    )


def _table(v: dict[str, Any]) -> Table:
    rows = []
    for name, s in v["strides"].items():
        drift = with_error(s[DRIFT], s[f"{DRIFT}_error"], 3, sign=True)
        outer = number(s["inner_steps"] * v["inner_step_fs"], 1)
        rows.append([label_of(name), outer, "blew up" if s["blown_up"] else drift])
    return Table(["forces", "outer step, fs", "drift, meV/atom/ps"], rows)


def _figure(v: dict[str, Any]) -> Figure:
    figure, (axes,) = panels(1)
    line = []
    for name, s in v["strides"].items():
        outer = s["inner_steps"] * v["inner_step_fs"]
        if s["blown_up"]:
            axes.axvline(outer, color="#cb181d", lw=1)
            place = {"xy": (outer, 0.5), "xycoords": ("data", "axes fraction")}
            axes.annotate(f"{name} blew up", rotation=90, **place)
        elif s[DRIFT] is not None and np.isfinite(s[DRIFT]):
            line.append((outer, abs(s[DRIFT])))
            _draw_drift(axes, *line[-1], s[f"{DRIFT}_error"] or 0.0, name, above=len(line) % 2 == 1)
    if line:
        axes.plot(*zip(*line, strict=True), color="0.7", lw=0.8, zorder=0)
    axes.axhline(v["limit_meV_per_atom_per_ps"], color="0.4", ls="--")
    axes.set(xlabel="outer step, fs", ylabel="|drift|, meV/atom/ps", yscale="log")
    axes.margins(x=0.12, y=0.12)
    return figure


def _draw_drift(
    axes: Axes, outer: float, drift: float, error: float, name: str, *, above: bool
) -> None:
    """Draw a drift with its error and its name, above or below it: labels of close points would overlap."""
    low = min(error, 0.9 * drift) if drift > 0 else 0.0
    axes.errorbar(outer, drift, [[low], [error]], fmt="o", color="black", capsize=2, ms=4)
    axes.annotate(
        label_of(name),
        (outer, drift + error if above else drift - low),
        xytext=(0, 4 if above else -4),
        textcoords="offset points",
        ha="center",
        va="bottom" if above else "top",
        fontsize=8,
    )
