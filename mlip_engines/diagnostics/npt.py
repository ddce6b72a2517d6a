"""Is the pressure right? Edge of the box and enthalpy under a barostat, with C, the stress of the head, and r-RESPA.

A barostat needs the derivative of the energy with respect to strain. r-RESPA gives it the conservative one; a head for
stress gives something else. NPH has no thermostat: its enthalpy E + pV + K drifts with the error of forces and stress.
The first fifth of each run is left out of means.

References
----------
Bigi, Langer, Ceriotti, ICML 2025 (arXiv:2412.11569), figure 10; Martyna, Tobias, Klein, J. Chem. Phys. 101, 4177
(1994), for the barostat.
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
from mlip_engines.diagnostics.nvt import compared_strides
from mlip_engines.diagnostics.result import Result, Section, Table
from mlip_engines.properties.thermodynamics import enthalpy
from mlip_engines.report.figures import panels
from mlip_engines.report.numbers import with_error
from mlip_engines.simulations.drift import energy_drift
from mlip_engines.simulations.simulation import Simulation
from mlip_engines.simulations.statistics import mean_and_error
from mlip_engines.simulations.trajectory import Trajectory
from mlip_engines.units import AMU_PER_CUBIC_ANGSTROM_TO_G_PER_CM3, MEV_PER_EV

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

BAROSTAT_FS = 1000.0  # a faster one is not stable with long outer steps
CONSERVED_DRIFT = "conserved_drift_meV_per_atom_per_ps"
ENTHALPY_DRIFT = "enthalpy_drift_meV_per_atom_per_ps"


class ConstantPressure(TrajectoryDiagnostic):
    """Edges and enthalpies with and without a thermostat."""

    name = "npt"
    title = "Constant pressure (NPH and NPT)"
    in_quick_look = False
    after = ("stride",)

    def simulations(self, case: Case, ensembles: Ensembles, earlier: Results) -> Simulations:
        """By ensemble and forces; none without periodicity."""
        if not case.atoms.pbc.all():
            return {}
        wanted = {}
        for ensemble in ("nph", "npt"):
            if ensemble not in ensembles:
                continue
            for forces in case.force_choices(compared_strides(case, earlier)):
                alone = forces.kind == "non_conservative"
                if alone and (not _has_stress_head(case) or "nph" not in ensembles):
                    continue  # no barostat without a stress; that of the energy is not of these forces
                wanted[f"{ensemble}.{forces.file_name}"] = case.simulation(
                    forces,
                    case.settings.npt_ps,
                    ensemble=ensemble,
                    pressure_time_constant_fs=BAROSTAT_FS,
                    non_conservative_stress=alone,
                    row_every_fs=12.0,
                )
        return wanted

    def measure(self, case: Case, trajectories: Trajectories) -> Result:
        """Mean edge, its fluctuation, drift of the enthalpy."""
        rows: list[dict[str, Any]] = []
        arrays = {}
        for key, run in trajectories.items():
            ensemble, forces = key.split(".")
            slug, edge, heat = f"{ensemble}_{forces}", edges(run), enthalpy_of(run)
            rows.append({"ensemble": ensemble, "forces": forces, **_row(case.atoms, run)})
            arrays[f"{slug}_time_ps"] = run.time_ps
            arrays[f"{slug}_edge_angstrom"] = edge
            arrays[f"{slug}_enthalpy_meV_per_atom"] = (
                MEV_PER_EV * (heat - heat[0]) / len(case.atoms)
            )
        values = {
            "pressure_bar": Simulation.pressure_bar,
            "has_stress_head": _has_stress_head(case),
            "runs": rows,
        }
        return Result(values, arrays)

    def render(self, result: Result) -> Section:
        """Words, a table and a figure."""
        v = result.values
        if not v["runs"]:
            return Section(
                [
                    "The structure is not periodic, or the engine has no barostat here: nothing was run."
                ]
            )
        caption = "Edge of a cube of the same volume, and enthalpy without a thermostat."
        return Section(
            paragraphs=[_words(v)],
            tables=[_table(v)],
            figures=[(caption, _figure(result))],
            warnings=[
                f"{r['ensemble'].upper()}, {r['forces']} stopped: {r['stopped']}."
                for r in v["runs"]
                if r["stopped"]
            ],
        )


def edges(run: Trajectory) -> np.ndarray:
    """Return the edge (R,) of a cube of the same volume at each row, Å."""
    return np.cbrt(np.abs(np.linalg.det(run.cell)))


def enthalpy_of(run: Trajectory) -> np.ndarray:
    """Return the enthalpy (R,) at the pressure of the barostat at each row, eV."""
    return enthalpy(run, Simulation.pressure_bar)


def _has_stress_head(case: Case) -> bool:
    return "non_conservative_stress" in case.model.metadata.heads


def _row(atoms: Atoms, run: Trajectory) -> dict[str, Any]:
    """Return means and drifts of a run."""
    edge, heat = edges(run), enthalpy_of(run)
    kept = edge[len(edge) // 5 :]
    mean = mean_and_error(kept)
    mass = AMU_PER_CUBIC_ANGSTROM_TO_G_PER_CM3 * atoms.get_masses().sum()
    density = mean_and_error(mass / kept**3)
    row = {
        "picoseconds": float(run.time_ps[-1]),
        "edge_angstrom": mean.value,
        "edge_angstrom_error": mean.error,
        "stopped": run.stopped,
        "density_g_per_cm3": density.value,
        "density_g_per_cm3_error": density.error,
    }
    for name, energy in ((ENTHALPY_DRIFT, heat), (CONSERVED_DRIFT, run.conserved_eV)):
        if len(energy) > 3 and np.isfinite(energy).all():
            drift = energy_drift(run.time_ps, energy, len(atoms))
            row[name], row[f"{name}_error"] = drift.value, drift.error
    return row


def _words(v: dict[str, Any]) -> str:
    head = (
        ""
        if v["has_stress_head"]
        else " This model has no head for stress, so NC forces have no barostat."
    )
    return (
        f"The barostat is set to {v['pressure_bar']:g} bar. C and r-RESPA see the same conservative virial.{head} The "
        "conserved quantity is that of thermostat and barostat; OpenMM's Monte Carlo barostat has none."
    )


def _table(v: dict[str, Any]) -> Table:
    header = ["ensemble", "forces", "ps", "edge of a cube of the same volume, Å", "density, g/cm³"]
    rows = []
    for r in v["runs"]:
        row = [r["ensemble"].upper(), label_of(r["forces"]), f"{r['picoseconds']:.1f}"]
        for name in ("edge_angstrom", "density_g_per_cm3"):
            row.append(with_error(r[name], r[f"{name}_error"], 3))
        drift = r.get(CONSERVED_DRIFT), r.get(f"{CONSERVED_DRIFT}_error")
        rows.append([*row, with_error(*drift, 3, sign=True)])
    return Table([*header, "drift of the conserved quantity, meV/atom/ps"], rows)


def _figure(result: Result) -> Figure:
    figure, (left, right) = panels(2)
    for r in result.values["runs"]:
        slug = f"{r['ensemble']}_{r['forces']}"
        style = {**style_of(r["forces"]), "ls": "-" if r["ensemble"] == "nph" else ":"}
        style["label"] = f"{r['ensemble'].upper()}, {style['label']}"
        time = result.arrays[f"{slug}_time_ps"]
        left.plot(time, result.arrays[f"{slug}_edge_angstrom"], **style)
        if r["ensemble"] == "nph":
            right.plot(time, result.arrays[f"{slug}_enthalpy_meV_per_atom"], **style)
    left.set(xlabel="time, ps", ylabel="edge, Å")
    left.legend(frameon=False, fontsize="small")
    right.set(xlabel="time, ps", ylabel="enthalpy from its start (NPH), meV/atom")
    return figure
