"""The answer in words: which stride, at what drift, with what speed-up, and the commands to type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlip_engines.diagnostics.diagnostic import Diagnostic, Results
from mlip_engines.diagnostics.fair_speed import fair_of
from mlip_engines.diagnostics.nve import DRIFT
from mlip_engines.diagnostics.result import Result
from mlip_engines.diagnostics.stride import recommended, speed_up
from mlip_engines.simulations.pace import Fair

_TITLES = {"lammps": "LAMMPS", "openmm": "OpenMM"}


def engine_title(engine: str) -> str:
    """Return the name of an engine as its authors write it."""
    return _TITLES.get(engine, engine)


def verdict(parts: Results, diagnostics: Mapping[str, Diagnostic]) -> dict[str, Any]:
    """Put the results together.

    Parameters
    ----------
    parts : dict of str to Result
        ``NAME`` or ``ENGINE/NAME``.
    diagnostics : mapping of str to Diagnostic
        By name, for all parts.

    Returns
    -------
    dict
        ``words`` (list of str, what each diagnostic says), and for each engine with a stride
        ``largest_inner_steps``, ``outer_step_fs``, the drift, ``speed_up_over_C`` (at the inner step) and ``fair``
        (the fastest steps of C and of r-RESPA within the same limits, their s/ps and ns/day).
    """
    words, engines = [], {}
    for key, result in parts.items():
        engine, _, name = key.rpartition("/")
        prefix = f"{engine}/" if engine else ""
        beside = {
            k.removeprefix(prefix): p for k, p in parts.items() if k.rpartition("/")[0] == engine
        }
        if sentence := _sentence(diagnostics[name], result, beside):
            words.append(f"{engine_title(engine)}: {sentence}" if engine else sentence)
        if name == "stride":
            drift = recommended(result)
            engines[engine] = {
                "largest_inner_steps": result.values["largest_inner_steps"],
                "outer_step_fs": result.values["outer_step_fs"],
                "inner_step_fs": result.values["inner_step_fs"],
                DRIFT: drift.get(DRIFT),
                f"{DRIFT}_error": drift.get(f"{DRIFT}_error"),
                "speed_up_over_C": speed_up(result, beside),
                "fair": _fair(fair_of(result.values.get("fair"), beside)),
            }
    return {"words": words, "engines": engines}


def _fair(found: Fair | None) -> dict[str, Any] | None:
    """Return the fastest steps of C and of r-RESPA within the same limits, in plain values."""
    if found is None:
        return None
    values: dict[str, Any] = {
        kind: pace
        and {
            "inner_step_fs": pace.inner_step_fs,
            "inner_steps": pace.forces.inner_steps,
            "seconds_per_ps": pace.seconds_per_ps,
            "ns_per_day": pace.ns_per_day,
        }
        for kind, pace in (("C", found.conservative), ("respa", found.respa))
    }
    return values | {"gain": found.gain}


def _sentence(diagnostic: Diagnostic, result: Result, beside: Results) -> str:
    """Ask a diagnostic; one that cannot answer must not take the report of hours with it."""
    try:
        return diagnostic.verdict(result, beside)
    except Exception as e:
        return (
            f"{diagnostic.name} has no verdict ({type(e).__name__}: {e}); its numbers are in "
            "report.json."
        )


def commands(engine: str, found: dict[str, Any]) -> str:
    """Return what to type for the stride that was found; empty for an engine that is not known here."""
    best, outer, inner = (
        found["largest_inner_steps"],
        found["outer_step_fs"],
        found["inner_step_fs"],
    )
    if engine == "lammps":
        if best == 1:
            return f"timestep   {inner / 1000.0:g}        # ps (units metal)\nrun_style  verlet"
        return (
            f"timestep   {outer / 1000.0:g}        # the outer step, ps (units metal)\n"
            f"run_style  respa 2 {best} inner 1 4.0 5.0 outer 2"
        )
    if engine == "openmm":
        if best == 1:
            return f"integrator = openmm.VerletIntegrator({inner:g} * unit.femtoseconds)"
        return f"integrator = RespaIntegrator({outer:g} * unit.femtoseconds, {best})"
    return ""
