"""What does a step cost? Milliseconds per inner step of C, NC and each stride, against what sharing should give.

One outer step of M inner steps makes M - 1 evaluations of the head alone and one of everything. In units of a
head-only evaluation, with F the price of a full one, an inner step costs 1 + (F - 1)/M; without sharing the
evaluation between C and NC it would be 1 + F/M. Times are the engine's own, of the trajectories at constant
energy. The first chunk of each warms up and is left out; the others give median and scatter.

References
----------
Bigi, Langer, Ceriotti, ICML 2025 (arXiv:2412.11569), tables 5, 6 and 10.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.figures import panels
from mlip_engines.diagnostics.nve import nve_simulation
from mlip_engines.diagnostics.result import Result, Section, Table, number, with_error
from mlip_engines.diagnostics.simulation import Simulation, Trajectory


def shared_cost(inner_steps: int, price: float) -> float:
    """Cost 1 + (F - 1)/M of an inner step in units of one head-only evaluation, F the price of a full one."""
    return 1.0 + (price - 1.0) / inner_steps


def time_per_step(trajectory: Trajectory) -> tuple[float, float]:
    """Median and scatter (half the range between quartiles) of the time of a step, without the first chunk.

    Parameters
    ----------
    trajectory : Trajectory

    Returns
    -------
    (float, float), ms per outer step
        NaN if no chunk but the first was finished.
    """
    times = 1000.0 * trajectory.seconds[1:] / np.maximum(trajectory.n_steps[1:], 1)
    times = times[np.isfinite(times)]
    if len(times) == 0:
        return float("nan"), float("nan")
    low, middle, high = np.percentile(times, [25, 50, 75])
    return float(middle), float(high - low) / 2.0


class Cost:
    """Times of all kinds of forces in an engine."""

    name: ClassVar[str] = "cost"
    title: ClassVar[str] = "Cost"
    needs_engine: ClassVar[bool] = True
    after: ClassVar[tuple[str, ...]] = ()

    def simulations(
        self, case: Case, ensembles: tuple[str, ...], earlier: dict[str, Result]
    ) -> dict[str, Simulation]:
        """Return trajectories at constant energy, the same as those of ``nve``."""
        return {
            forces.file_name: nve_simulation(case, forces)
            for forces in case.force_choices(case.settings.strides)
        }

    def measure(
        self, case: Case, trajectories: dict[str, Trajectory], earlier: dict[str, Result]
    ) -> Result:
        """Time per inner step, speed-up over C, and the expected cost."""
        n_atoms, modes = len(case.atoms), {}
        for forces in case.force_choices(case.settings.strides):
            run = trajectories[forces.file_name]
            median, scatter = time_per_step(run)
            head_only, full = run.evaluations.sum(axis=0)
            modes[forces.file_name] = {
                "inner_steps": forces.inner_steps,
                "ms_per_inner_step": median / forces.inner_steps,
                "ms_per_inner_step_scatter": scatter / forces.inner_steps,
                "head_only_evaluations": int(head_only),
                "full_evaluations": int(full),
                "steps": int(run.n_steps.sum()),
            }
        c = modes["C"]["ms_per_inner_step"]
        if "NC" in modes:
            # rows of NC trajectories ask for the energy: take the full evaluations out
            nc = modes["NC"]
            rows = nc["full_evaluations"] / max(1, nc["steps"])
            nc["ms_per_inner_step"] -= c * rows
            price = c / nc["ms_per_inner_step"]
        for mode in modes.values():
            mode["us_per_atom_per_inner_step"] = 1000.0 * mode["ms_per_inner_step"] / n_atoms
            mode["speed_up_over_C"] = c / mode["ms_per_inner_step"]
            if "NC" in modes:
                mode["relative_to_NC"] = mode["ms_per_inner_step"] / nc["ms_per_inner_step"]
                mode["shared_theory"] = shared_cost(mode["inner_steps"], price)
        if "NC" in modes:
            nc["shared_theory"] = 1.0
        return Result({"n_atoms": n_atoms, "modes": modes})

    def render(self, result: Result) -> Section:
        """Words, a table and a figure."""
        modes = result.values["modes"]
        section = Section()
        rows = [
            [
                name.replace("M", "M = "),
                with_error(m["ms_per_inner_step"], m["ms_per_inner_step_scatter"], 1),
                number(m["us_per_atom_per_inner_step"], 0),
                number(m["speed_up_over_C"]),
                number(m.get("relative_to_NC")),
                number(m.get("shared_theory")),
                f"{m['head_only_evaluations']} / {m['full_evaluations']}",
            ]
            for name, m in modes.items()
        ]
        section.tables.append(
            Table(
                [
                    "forces",
                    "ms per inner step",
                    "µs per atom",
                    "speed-up over C",
                    "relative to NC",
                    "1 + (F - 1)/M",
                    "evaluations: head only / full",
                ],
                rows,
            )
        )
        if "NC" in modes:
            price = modes["C"].get("relative_to_NC")
            section.paragraphs.append(
                f"Conservative forces cost F = {number(price)} times the head alone. r-RESPA should cost "
                "1 + (F - 1)/M of it per inner step, because C and NC at the end of an outer step come from one "
                "evaluation. ± is half the range between the quartiles of pieces of the run."
            )
            section.figures.append(
                ("Cost of an inner step, in units of the head alone.", self._figure(modes))
            )
        worst = max((_relative_scatter(m) for m in modes.values()), default=0.0)
        if worst > 0.15:
            section.warnings.append(
                f"Times scatter by {100 * worst:.0f} %: the machine was busy or the runs are short. "
                "Compare ratios with care."
            )
        return section

    @staticmethod
    def _figure(modes: dict[str, Any]):
        figure, (axes,) = panels(1)
        strides = [m for name, m in modes.items() if name.startswith("M")]
        x = [m["inner_steps"] for m in strides]
        nc = modes["NC"]["ms_per_inner_step"] or np.nan
        axes.errorbar(
            x,
            [m["relative_to_NC"] or np.nan for m in strides],
            [(m["ms_per_inner_step_scatter"] or 0.0) / nc for m in strides],
            fmt="o",
            color="black",
            capsize=2,
            label="measured",
        )
        price = modes["C"]["relative_to_NC"] or np.nan
        dense = np.linspace(1, max(x, default=2), 100)
        axes.plot(dense, 1 + (price - 1) / dense, color="#2171b5", label="1 + (F - 1)/M, shared")
        axes.plot(dense, 1 + price / dense, color="0.6", ls=":", label="1 + F/M, not shared")
        axes.axhline(price, color="black", lw=0.8, ls="--", label="C in every step")
        axes.set(xlabel="M", ylabel="cost of an inner step / NC", ylim=(0, 1.15 * (1 + price)))
        axes.legend(frameon=False, fontsize="small")
        return figure


def _relative_scatter(mode: dict[str, Any]) -> float:
    scatter, value = mode["ms_per_inner_step_scatter"], mode["ms_per_inner_step"]
    return scatter / value if scatter and value else 0.0
