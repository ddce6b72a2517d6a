"""C at its own best step against r-RESPA at its best: trajectories at other steps, and what follows with their times.

A speed-up over C at the inner step flatters r-RESPA, since C conserves energy at longer steps too; see
:mod:`mlip_engines.simulations.pace`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlip_engines.diagnostics.nve import nve_simulation
from mlip_engines.diagnostics.result import Table
from mlip_engines.diagnostics.runs import independent_runs
from mlip_engines.report.numbers import number, with_error
from mlip_engines.simulations.drift import conservation
from mlip_engines.simulations.pace import Fair, Limits, Pace, fair, respa_ms
from mlip_engines.simulations.simulation import CONSERVATIVE, Forces, Simulation
from mlip_engines.simulations.statistics import Estimate

if TYPE_CHECKING:
    from mlip_engines.diagnostics.case import Case
    from mlip_engines.diagnostics.diagnostic import Results, Trajectories

LONGER_INNER = 1.5  # times the inner step, of r-RESPA


def fair_choices(case: Case) -> dict[str, tuple[Forces, float]]:
    """Return forces and inner step, fs, of all trajectories that are compared, by a name for each."""
    s = case.settings
    found = {
        f.file_name: (f, s.inner_step_fs)
        for f in case.force_choices(s.strides)
        if f.kind != "non_conservative"
    }
    for factor in s.conservative_steps:
        step = round(factor * s.inner_step_fs, 6)
        found[f"C_{step:g}fs"] = (CONSERVATIVE, step)
    if case.has_head:
        step = round(LONGER_INNER * s.inner_step_fs, 6)
        for m in s.longer_strides:
            found[f"M{m}_{step:g}fs"] = (Forces("respa", m), step)
    return found


def fair_simulations(case: Case, run: int) -> dict[str, Simulation]:
    """Return the simulations of one set of velocities, by ``NAME.RUN``."""
    return {
        f"{name}.{run}": nve_simulation(case, forces, run, inner_step_fs=step)
        for name, (forces, step) in fair_choices(case).items()
    }


def measure_fair(case: Case, trajectories: Trajectories) -> dict[str, Any]:
    """Return limits and what each choice did to the energy, in plain values."""
    s, runs, found = case.settings, independent_runs(trajectories), []
    for name, (forces, step) in fair_choices(case).items():
        if name not in runs:
            continue
        kept = conservation(case.atoms, runs[name])
        found.append(
            {
                "name": name,
                "kind": forces.kind,
                "inner_steps": forces.inner_steps,
                "inner_step_fs": step,
                "drift": kept.drift.value,
                "drift_error": kept.drift.error,
                "fluctuation_meV_per_atom": kept.fluctuation_meV_per_atom,
                "fluctuation_error_meV_per_atom": kept.fluctuation_error_meV_per_atom,
                "stopped": kept.stopped,
            }
        )
    return {
        "drift_limit_meV_per_atom_per_ps": s.drift_limit_meV_per_atom_per_ps,
        "fluctuation_limit_meV_per_atom": s.fluctuation_limit_meV_per_atom,
        "choices": found,
    }


def limits_of(values: dict[str, Any]) -> Limits:
    """Return the limits that :func:`measure_fair` has kept."""
    return Limits(
        values["drift_limit_meV_per_atom_per_ps"], values["fluctuation_limit_meV_per_atom"]
    )


def paces_of(values: dict[str, Any], c_ms: float, nc_ms: float) -> list[Pace]:
    """Return the paces, with the times of a step of C and NC.

    An outer step is priced as its evaluations are, whatever its M: a turn in which the machine was busy must not
    choose.
    """
    return [
        Pace(
            Forces(c["kind"], c["inner_steps"]),
            c["inner_step_fs"],
            respa_ms(c["inner_steps"], c_ms, nc_ms),
            Estimate(_number(c["drift"]), _number(c["drift_error"])),
            _number(c["fluctuation_meV_per_atom"]),
            c["stopped"],
            _number(c.get("fluctuation_error_meV_per_atom", 0.0)),
        )
        for c in values["choices"]
    ]


def fair_of(values: dict[str, Any] | None, beside: Results) -> Fair | None:
    """Return the fair comparison; None if the times of steps were not measured."""
    if not values or "cost" not in beside:
        return None
    modes = beside["cost"].values["modes"]
    c_ms = modes["C"].get("ms_per_inner_step")
    nc_ms = modes.get("NC", {}).get("ms_per_inner_step", c_ms)
    if c_ms is None or nc_ms is None:
        return None
    return fair(paces_of(values, c_ms, nc_ms), limits_of(values))


def fair_words(values: dict[str, Any], found: Fair) -> str:
    """Say it in a sentence or two; name what longer runs or steps would decide."""
    limits = limits_of(values)
    words = (
        f"Within {limits.drift_meV_per_atom_per_ps:g} meV/atom/ps of drift and "
        f"{limits.fluctuation_meV_per_atom:g} meV/atom of fluctuation: {found.words()}"
    )
    paces = paces_of(values, 1.0, 1.0)
    longest = max(p.inner_step_fs for p in paces if p.forces == CONSERVATIVE)
    if found.conservative is not None and found.conservative.inner_step_fs == longest:
        words += " C may hold at longer steps still: try a longer --inner-step."
    undecided = [
        p.label for p in paces if p.forces.kind == "respa" and p.verdict(limits) == "undecided"
    ]
    if undecided:
        words += f" Longer runs would decide about {', '.join(undecided)}."
    return words


def fair_table(values: dict[str, Any]) -> Table:
    """Show what each choice does to the energy, and whether that is within the limits."""
    limits = limits_of(values)
    rows = [
        [
            pace.label,
            number(pace.outer_step_fs, 2),
            "blew up" if pace.stopped else with_error(*pace.drift, 3, sign=True),
            with_error(pace.fluctuation_meV_per_atom, pace.fluctuation_error_meV_per_atom, 3),
            pace.verdict(limits),
        ]
        for pace in paces_of(values, 1.0, 1.0)
    ]
    header = ["steps", "outer step, fs", "drift, meV/atom/ps", "fluctuation, meV/atom"]
    return Table(
        [
            *header,
            f"within {limits.drift_meV_per_atom_per_ps:g} and {limits.fluctuation_meV_per_atom:g}",
        ],
        rows,
    )


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)  # NaN is None in a file
