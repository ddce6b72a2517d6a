"""Do positions have the temperature of the bath? Squared forces over curvature, by element and by motion of molecules.

Thermostats hold velocities at their temperature, and hide there what a step that is too long does to positions. See
:mod:`mlip_engines.properties.hypervirial` and :mod:`mlip_engines.properties.motion`.

References
----------
Rugh, Phys. Rev. Lett. 78, 772 (1997); Butler, Ayton, Jepps, Evans, J. Chem. Phys. 109, 6519 (1998).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlip_engines.diagnostics.appearance import label_of, style_of
from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.comparison import grouped
from mlip_engines.diagnostics.diagnostic import (
    Ensembles,
    Results,
    Simulations,
    Trajectories,
    TrajectoryDiagnostic,
)
from mlip_engines.diagnostics.nvt import trajectories_with_frames
from mlip_engines.diagnostics.result import Result, Section, Table
from mlip_engines.report.figures import panels
from mlip_engines.report.numbers import with_error
from mlip_engines.simulations.statistics import combine

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mlip_engines.simulations.statistics import Estimate
    from mlip_engines.simulations.trajectory import Trajectory


class ConfigurationalTemperature(TrajectoryDiagnostic):
    """Of each element under each kind of forces, from the trajectories with SVR."""

    name = "configurational_temperature"
    title = "Configurational temperature"
    after = ("stride",)

    def simulations(self, case: Case, ensembles: Ensembles, earlier: Results) -> Simulations:
        """The trajectories of ``nvt`` that have frames."""
        return trajectories_with_frames(case, ensembles, earlier)

    def measure(self, case: Case, trajectories: Trajectories) -> Result:
        """Excess of each element over the bath, from frames spread over each run."""
        by_forces, left_out = grouped(trajectories)
        values: dict[str, Any] = {
            "temperature_K": case.settings.temperature_K,
            "frames": case.settings.configurations,
            "elements": sorted(set(case.atoms.get_chemical_symbols())),
            "motions": [],
            "left_out": left_out,
            "runs": [],
        }
        for k, (forces, runs) in enumerate(by_forces.items()):
            found, motions = _temperatures(case, runs)
            # the table has the kinds of motion that all runs have
            known = values["motions"] if k else motions
            values["motions"] = [name for name in known if name in motions]
            excess = {name: e.value - case.settings.temperature_K for name, e in found.items()}
            errors = {name: e.error for name, e in found.items()}
            values["runs"].append({"forces": forces, "excess_K": excess, "excess_K_error": errors})
        return Result(values)

    def render(self, result: Result) -> Section:
        """Words, a table and a figure."""
        v = result.values
        section = Section([_words(v)], warnings=list(v["left_out"]))
        if v["runs"]:
            caption = (
                "Configurational temperature of each element, and of each kind of motion of molecules, "
                "minus that of the bath, with two standard errors."
            )
            section.tables.append(_table(v))
            section.figures.append((caption, _figure(v)))
        return section


def _temperatures(case: Case, runs: list[Trajectory]) -> tuple[dict[str, Estimate], list[str]]:
    """Return the temperatures, K, over independent runs; and which of them are those of kinds of motion."""
    from mlip_engines.properties.hypervirial import configurational_temperature
    from mlip_engines.properties.molecules import is_molecular
    from mlip_engines.properties.motion import configurational_temperature_of_motions

    found: dict[str, list[Estimate]] = {}
    motions: list[str] = []
    for run in runs:
        n = len(run.positions)
        chosen = np.unique(np.linspace(n // 5, n - 1, case.settings.configurations).astype(int))
        frames = run.structures(case.atoms, chosen)
        for name, estimate in configurational_temperature(
            case.model, frames, seed=case.settings.seed
        ).items():
            found.setdefault(name, []).append(estimate)
        if not is_molecular(frames[0]):
            continue
        of_motions = configurational_temperature_of_motions(
            case.model, frames, seed=case.settings.seed
        )
        motions = list(of_motions)
        for name, estimate in of_motions.items():
            found.setdefault(name, []).append(estimate)
    return {name: combine(estimates) for name, estimates in found.items()}, motions


def _words(v: dict[str, Any]) -> str:
    if not v["runs"]:
        return "There are no frames to look at."
    return (
        "The mean square of the forces on an element over the curvature of its energy is kT, whatever its velocities "
        f"are. {v['frames']} frames of each run were looked at. A step that is too long is seen here before it is seen "
        "in the kinetic temperature, which the thermostat holds. Where there are molecules, the motion as a whole "
        "(translation), libration, bending and stretching are told apart: resonances heat one of them first."
    )


def _table(v: dict[str, Any]) -> Table:
    names = ["all", *v["elements"], *v.get("motions", [])]
    rows = [
        [
            label_of(r["forces"]),
            *(with_error(r["excess_K"][n], r["excess_K_error"][n], 1, sign=True) for n in names),
        ]
        for r in v["runs"]
    ]
    return Table(["forces", *(f"excess {n}, K" for n in names)], rows)


def _figure(v: dict[str, Any]) -> Figure:
    names = ["all", *v["elements"], *v.get("motions", [])]
    figure, (axes,) = panels(1)
    for k, r in enumerate(v["runs"]):
        style = style_of(r["forces"])
        axes.errorbar(
            np.arange(len(names)) + 0.6 * ((k + 0.5) / len(v["runs"]) - 0.5),
            [r["excess_K"][n] for n in names],
            [2.0 * (r["excess_K_error"][n] or 0.0) for n in names],
            fmt="o",
            ms=4,
            capsize=2,
            color=style["color"],
            label=style["label"],
        )
    axes.axhline(0.0, color="0.7", lw=0.8, zorder=0)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("temperature above the bath, K")
    axes.legend(frameon=False, fontsize="small")
    return figure
