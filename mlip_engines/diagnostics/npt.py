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

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.figures import panels, style_of
from mlip_engines.diagnostics.nvt import compared_strides
from mlip_engines.diagnostics.result import Result, Section, Table, with_error
from mlip_engines.properties.thermodynamics import enthalpy
from mlip_engines.simulations.drift import energy_drift
from mlip_engines.simulations.simulation import Simulation, Trajectory
from mlip_engines.simulations.statistics import mean_and_error
from mlip_engines.units import (
    AMU_PER_CUBIC_ANGSTROM_TO_G_PER_CM3,
    MEV_PER_EV,
)

if TYPE_CHECKING:
    from mlip_engines.simulations.engine import Engine

BAROSTAT_FS = 1000.0  # a faster one is not stable with long outer steps


class ConstantPressure:
    """Edges and enthalpies with and without a thermostat."""

    name: ClassVar[str] = "npt"
    title: ClassVar[str] = "Constant pressure (NPH and NPT)"
    needs_engine: ClassVar[bool] = True
    after: ClassVar[tuple[str, ...]] = ("stride",)

    def simulations(
        self, case: Case, ensembles: tuple[str, ...], earlier: dict[str, Result]
    ) -> dict[str, Simulation]:
        """Return the trajectories it needs; none without periodicity."""
        if not case.atoms.pbc.all():
            return {}
        wanted = {}
        stress = "non_conservative_stress" in case.model.metadata.heads
        for ensemble in ("nph", "npt"):
            if ensemble not in ensembles:
                continue
            for forces in case.force_choices(compared_strides(case, earlier)):
                alone = forces.kind == "non_conservative"
                if alone and (not stress or "nph" not in ensembles):
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
        """Mean edge, its fluctuation, drift of the enthalpy."""
        rows: list[dict[str, Any]] = []
        arrays = {}
        n_atoms = len(case.atoms)
        for key, run in trajectories.items():
            ensemble, forces = key.split(".")
            edge = np.cbrt(np.abs(np.linalg.det(run.cell)))
            heat = enthalpy(run, Simulation.pressure_bar)
            kept = slice(len(edge) // 5, None)
            mean = mean_and_error(edge[kept])
            row = {
                "ensemble": ensemble,
                "forces": forces,
                "picoseconds": float(run.time_ps[-1]),
                "edge_angstrom": mean.value,
                "edge_angstrom_error": mean.error,
                "stopped": run.stopped,
            }
            mass = AMU_PER_CUBIC_ANGSTROM_TO_G_PER_CM3 * case.atoms.get_masses().sum()
            density = mean_and_error(mass / edge[kept] ** 3)
            row["density_g_per_cm3"] = density.value
            row["density_g_per_cm3_error"] = density.error
            if len(heat) > 3:
                drift = energy_drift(run.time_ps, heat, n_atoms)
                row["enthalpy_drift_meV_per_atom_per_ps"] = drift.value
                row["enthalpy_drift_meV_per_atom_per_ps_error"] = drift.error
            if np.isfinite(run.conserved_eV).all() and len(heat) > 3:
                drift = energy_drift(run.time_ps, run.conserved_eV, n_atoms)
                row["conserved_drift_meV_per_atom_per_ps"] = drift.value
                row["conserved_drift_meV_per_atom_per_ps_error"] = drift.error
            rows.append(row)
            arrays[f"{ensemble}_{forces}_time_ps"] = run.time_ps
            arrays[f"{ensemble}_{forces}_edge_angstrom"] = edge
            arrays[f"{ensemble}_{forces}_enthalpy_meV_per_atom"] = (
                MEV_PER_EV * (heat - heat[0]) / n_atoms
            )
        stress = "non_conservative_stress" in case.model.metadata.heads
        return Result(
            {"pressure_bar": Simulation.pressure_bar, "has_stress_head": stress, "runs": rows},
            arrays,
        )

    def render(self, result: Result) -> Section:
        """Words, a table and a figure."""
        v, section = result.values, Section()
        if not v["runs"]:
            section.paragraphs.append(
                "The structure is not periodic, or the engine has no barostat here: nothing was run."
            )
            return section
        rows = [
            [
                r["ensemble"].upper(),
                r["forces"].replace("M", "M = "),
                f"{r['picoseconds']:.1f}",
                with_error(r["edge_angstrom"], r["edge_angstrom_error"], 3),
                with_error(r["density_g_per_cm3"], r["density_g_per_cm3_error"], 3),
                with_error(
                    r.get("conserved_drift_meV_per_atom_per_ps"),
                    r.get("conserved_drift_meV_per_atom_per_ps_error"),
                    3,
                    sign=True,
                ),
            ]
            for r in v["runs"]
        ]
        section.tables.append(
            Table(
                [
                    "ensemble",
                    "forces",
                    "ps",
                    "edge of a cube of the same volume, Å",
                    "density, g/cm³",
                    "drift of the conserved quantity, meV/atom/ps",
                ],
                rows,
            )
        )
        head = (
            ""
            if v["has_stress_head"]
            else " This model has no head for stress, so NC forces have no barostat."
        )
        section.paragraphs.append(
            f"At {v['pressure_bar']:g} bar. C and r-RESPA see the same conservative virial.{head} The conserved "
            "quantity is that of thermostat and barostat; OpenMM's Monte Carlo barostat has none."
        )
        for r in v["runs"]:
            if r["stopped"]:
                section.warnings.append(
                    f"{r['ensemble'].upper()}, {r['forces']} stopped: {r['stopped']}."
                )
        figure, (left, right) = panels(2)
        for r in v["runs"]:
            slug = f"{r['ensemble']}_{r['forces']}"
            style = {**style_of(r["forces"]), "ls": "-" if r["ensemble"] == "nph" else ":"}
            style["label"] = f"{r['ensemble'].upper()}, {style['label']}"
            left.plot(
                result.arrays[f"{slug}_time_ps"], result.arrays[f"{slug}_edge_angstrom"], **style
            )
            if r["ensemble"] == "nph":
                right.plot(
                    result.arrays[f"{slug}_time_ps"],
                    result.arrays[f"{slug}_enthalpy_meV_per_atom"],
                    **style,
                )
        left.set(xlabel="time, ps", ylabel="edge, Å")
        left.legend(frameon=False, fontsize="small")
        right.set(xlabel="time, ps", ylabel="enthalpy from its start (NPH), meV/atom")
        section.figures.append(
            ("Edge of a cube of the same volume, and enthalpy without a thermostat.", figure)
        )
        return section
