"""Is the temperature what the thermostat says, and the same for all elements?

Heat that NC forces make is taken out by the thermostat. A local one (Langevin) does it where it arises, at the price of
the dynamics if it is strong; a global one (stochastic velocity rescaling, SVR) cannot: all atoms together have the
right temperature, and elements have different ones. The first fifth of each run is left out; errors are those of
correlated series.

References
----------
Bigi, Langer, Ceriotti, ICML 2025 (arXiv:2412.11569), tables 2, 8 and 9; Bussi, Donadio, Parrinello, J. Chem. Phys. 126,
014101 (2007), for SVR; Ceriotti, Bussi, Parrinello, J. Chem. Theory Comput. 6, 1170 (2010), for GLE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlip_engines.diagnostics.appearance import label_of, style_of
from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.diagnostic import (
    Ensembles,
    Results,
    Simulations,
    Trajectories,
    TrajectoryDiagnostic,
)
from mlip_engines.diagnostics.result import Result, Section, Table
from mlip_engines.diagnostics.runs import independent_runs
from mlip_engines.properties.thermodynamics import excess_temperature
from mlip_engines.report.figures import panels
from mlip_engines.report.numbers import with_error
from mlip_engines.simulations.kinetics import species_of, temperatures
from mlip_engines.simulations.simulation import NON_CONSERVATIVE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LITERATURE = (
    "Bigi, Langer and Ceriotti, water at 300 K, all/H/O: with SVR (10 fs) C 0.1/-0.4/1.0, NC 0.3/-4.4/9.9, M = 8 "
    "0.0/-0.1/0.1 K; NC with white noise 12.8/11.2/16.2 (1000 fs), 1.4/1.3/1.6 (100 fs), 0.1/0.0/0.2 K (10 fs); NC "
    "with a high-pass GLE ends at 524 K."
)
BATHS = {  # name: ensemble, time constant in fs
    "SVR 10 fs": ("svr", 10.0),
    "WN 10 fs": ("langevin", 10.0),
    "WN 100 fs": ("langevin", 100.0),
    "WN 1000 fs": ("langevin", 1000.0),
    "GLE 10 fs": ("gle", 10.0),
}
QUICK_BATH = "SVR 10 fs"


class ConstantTemperature(TrajectoryDiagnostic):
    """Temperatures by element under every thermostat."""

    name = "nvt"
    title = "Constant temperature (NVT)"
    after = ("stride",)

    def simulations(self, case: Case, ensembles: Ensembles, earlier: Results) -> Simulations:
        """By thermostat, forces and run."""
        wanted = {}
        for bath, (ensemble, tau) in BATHS.items():
            if ensemble not in ensembles or (case.settings.quick and bath != QUICK_BATH):
                continue
            for forces in case.force_choices(compared_strides(case, earlier)):
                for run in range(case.settings.runs):
                    wanted[f"{bath}.{forces.file_name}.{run}"] = case.simulation(
                        forces,
                        case.settings.nvt_ps,
                        ensemble=ensemble,
                        time_constant_fs=tau,
                        seed=case.settings.seed + run,
                        row_every_fs=20.0 if forces == NON_CONSERVATIVE else 12.0,
                        # structure and dynamics are read from these
                        frame_every_fs=4.0 if ensemble == "svr" else 0.0,
                    )
        return wanted

    def measure(self, case: Case, trajectories: Trajectories) -> Result:
        """Excess of each."""
        atoms, kelvin = case.atoms, case.settings.temperature_K
        rows: list[dict[str, Any]] = []
        arrays = {}
        for key, runs in independent_runs(trajectories).items():
            bath, forces = key.rsplit(".", 1)
            ensemble = BATHS[bath][0]
            found = excess_temperature(atoms, runs, ensemble, kelvin)
            rows.append(
                {
                    "thermostat": bath,
                    "forces": forces,
                    "picoseconds": float(sum(t.time_ps[-1] for t in runs)),
                    "excess_K": {name: e.value for name, e in found.items()},
                    "excess_K_error": {name: e.error for name, e in found.items()},
                    "stopped": next((t.stopped for t in runs if t.stopped), ""),
                }
            )
            slug = f"{bath}_{forces}".replace(" ", "_")
            arrays[f"{slug}_time_ps"] = runs[0].time_ps
            for name, series in temperatures(atoms, runs[0], ensemble).items():
                arrays[f"{slug}_temperature_{name}_K"] = series
        return Result(
            {"temperature_K": kelvin, "elements": species_of(atoms), "runs": rows}, arrays
        )

    def render(self, result: Result) -> Section:
        """Words, a table and a figure."""
        v = result.values
        caption = "Mean kinetic temperature of each element minus that of the bath, with two standard errors."
        return Section(
            paragraphs=[_words(v), LITERATURE],
            tables=[_table(v)],
            figures=[(caption, _figure(v))],
            warnings=[
                f"{r['thermostat']}, {r['forces']} stopped: {r['stopped']}."
                for r in v["runs"]
                if r["stopped"]
            ],
        )


def compared_strides(case: Case, earlier: Results) -> tuple[int, ...]:
    """Strides to compare with C and NC: the largest that conserves energy, and 8, the paper's."""
    best = earlier["stride"].values["largest_inner_steps"] if "stride" in earlier else 4
    if best == 1:
        best = min(case.settings.strides)
    return (best,) if case.settings.quick else tuple(sorted({best, 8}))


def trajectories_with_frames(case: Case, ensembles: Ensembles, earlier: Results) -> Simulations:
    """Return the trajectories that keep positions and velocities: other diagnostics look at them too."""
    wanted = ConstantTemperature().simulations(case, ensembles, earlier)
    return {name: s for name, s in wanted.items() if s.frame_every_fs > 0.0}


def equipartition_gap(run: dict[str, Any], elements: list[str]) -> tuple[float, float]:
    """Largest difference of temperature between two elements, K, and its error."""
    values = [(run["excess_K"][e], run["excess_K_error"][e] or 0.0) for e in elements]
    hot, cold = max(values), min(values)
    return hot[0] - cold[0], float(np.hypot(hot[1], cold[1]))


def _words(v: dict[str, Any]) -> str:
    parts = []
    for r in v["runs"]:
        if not r["thermostat"].startswith("SVR") or len(v["elements"]) < 2:
            continue
        gap, error = equipartition_gap(r, v["elements"])
        verdict = (
            "equal within their errors" if gap < 2.0 * error else "not equal: equipartition fails"
        )
        parts.append(f"{label_of(r['forces'])}: {with_error(gap, error, 1)} K ({verdict})")
    if not parts:
        return "The table shows how far the temperature is above that of the bath, for each thermostat."
    return f"With the SVR thermostat the temperatures of two elements differ at most by: {'; '.join(parts)}."


def _table(v: dict[str, Any]) -> Table:
    names = ["all", *v["elements"]]
    rows = []
    for r in v["runs"]:
        excess = zip(
            *([r[key][n] for n in names] for key in ("excess_K", "excess_K_error")), strict=True
        )
        row = [r["thermostat"], label_of(r["forces"]), f"{r['picoseconds']:.1f}"]
        rows.append([*row, *(with_error(*e, 1, sign=True) for e in excess)])
    return Table(["thermostat", "forces", "ps", *(f"excess {n}, K" for n in names)], rows)


def _figure(v: dict[str, Any]) -> Figure:
    baths = list(dict.fromkeys(r["thermostat"] for r in v["runs"]))
    names = ["all", *v["elements"]]
    figure, (axes,) = panels(1)
    figure.set_size_inches(max(5.6, 2.4 * len(baths)), 3.4)
    markers = "os^dvP"
    for b, bath in enumerate(baths):
        runs = [r for r in v["runs"] if r["thermostat"] == bath]
        for k, r in enumerate(runs):
            style = style_of(r["forces"])
            for n, name in enumerate(names):
                axes.errorbar(
                    b + 0.8 * ((k + (n + 0.5) / len(names)) / len(runs) - 0.5),
                    r["excess_K"][name],
                    2.0 * (r["excess_K_error"][name] or 0.0),
                    fmt=markers[n % len(markers)],
                    color=style["color"],
                    ms=4,
                    capsize=2,
                    label=f"{style['label']}, {name}" if b == 0 else None,
                )
    axes.axhline(0.0, color="0.7", lw=0.8, zorder=0)
    axes.set_xticks(range(len(baths)), baths)
    axes.set_ylabel("temperature above the bath, K")
    axes.set_yscale("symlog", linthresh=20.0)
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
