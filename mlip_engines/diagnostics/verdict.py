"""The answer in words: which stride, at what drift, with what speed-up, and the commands to type."""

from __future__ import annotations

from typing import Any

from mlip_engines.diagnostics.result import Result, number, with_error
from mlip_engines.diagnostics.stride import DRIFT

ENGINE_NAMES = {"lammps": "LAMMPS", "openmm": "OpenMM"}


def verdict(parts: dict[str, Result], engines: list[str]) -> dict[str, Any]:
    """Put the results together.

    Parameters
    ----------
    parts : dict of str to Result
        ``NAME`` or ``ENGINE/NAME``.
    engines : list of str

    Returns
    -------
    dict
        ``words`` (list of str), and for each engine with a stride ``largest_inner_steps``, ``outer_step_fs``,
        the drift and ``speed_up_over_C``.
    """
    words, found = [], {}
    for engine in engines:
        stride = parts.get(f"{engine}/stride")
        if stride is None:
            continue
        v = stride.values
        best = v["largest_inner_steps"]
        name = "C" if best == 1 else f"M{best}"
        drift = v["strides"].get(name, {})
        cost = parts.get(f"{engine}/cost")
        speed = None if cost is None else cost.values["modes"].get(name, {}).get("speed_up_over_C")
        found[engine] = {
            "largest_inner_steps": best,
            "outer_step_fs": v["outer_step_fs"],
            "inner_step_fs": v["inner_step_fs"],
            DRIFT: drift.get(DRIFT),
            f"{DRIFT}_error": drift.get(f"{DRIFT}_error"),
            "speed_up_over_C": speed,
        }
        words.append(_stride_words(engine, v, drift, speed))
    words += _reasons(parts, engines)
    return {"words": words, "engines": found}


def _stride_words(
    engine: str, v: dict[str, Any], drift: dict[str, Any], speed: float | None
) -> str:
    name, best = ENGINE_NAMES[engine], v["largest_inner_steps"]
    measured = with_error(drift.get(DRIFT), drift.get(f"{DRIFT}_error"), 3, sign=True)
    limit = v["limit_meV_per_atom_per_ps"]
    if len(v["strides"]) == 1:
        return (
            f"{name}: the model has no head for non-conservative forces, and so no stride. Its energy drifts by "
            f"{measured} meV/atom/ps with a step of {v['inner_step_fs']:g} fs."
        )
    if best == 1:
        return (
            f"{name}: use conservative forces in every step ({v['inner_step_fs']:g} fs); their energy drifts by "
            f"{measured} meV/atom/ps. No stride of r-RESPA that was tried stays below {limit:g}."
        )
    open_questions = ""
    if v["undecided_inner_steps"]:
        listed = ", ".join(str(m) for m in v["undecided_inner_steps"])
        open_questions = f" M = {listed} may do as well: longer runs would tell."
    faster = f", {number(speed)} times as fast as conservative forces" if speed else ""
    return (
        f"{name}: use r-RESPA with M = {best} (inner step {v['inner_step_fs']:g} fs, outer step "
        f"{v['outer_step_fs']:g} fs). The energy drifts by {measured} meV/atom/ps (limit {limit:g}){faster}."
        f"{open_questions}"
    )


def _reasons(parts: dict[str, Result], engines: list[str]) -> list[str]:
    """One sentence for each other finding."""
    words = []
    for engine in engines:
        nve = parts.get(f"{engine}/nve")
        if nve and (nc := nve.values["modes"].get("NC")) and nc.get("heating_K_per_ps") is not None:
            words.append(
                f"{ENGINE_NAMES[engine]}: never use non-conservative forces alone: they heat this system by "
                f"{number(nc['heating_K_per_ps'], 0, sign=True)} K/ps."
                if nc["heating_K_per_ps"] > 2.0 * (nc["heating_K_per_ps_error"] or 0.0)
                else f"{ENGINE_NAMES[engine]}: heating by non-conservative forces alone is within its error, "
                f"{with_error(nc['heating_K_per_ps'], nc['heating_K_per_ps_error'], 0, sign=True)} K/ps."
            )
    if (jacobian := parts.get("jacobian_asymmetry")) and "lambda_NC" in jacobian.values:
        words.append(
            f"Jacobian asymmetry of the NC forces: λ = {jacobian.values['lambda_NC']:.4f}."
        )
    if (loop := parts.get("closed_loop")) and "work_NC_rms_meV" in loop.values:
        words.append(
            f"Work around a closed loop: {loop.values['work_NC_rms_meV']:.1f} meV RMS with NC forces, "
            f"{loop.values['work_C_rms_meV']:.2g} meV with conservative ones."
        )
    return words


def commands(engine: str, found: dict[str, Any]) -> str:
    """Return what to type for the stride that was found."""
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
    if best == 1:
        return f"integrator = openmm.VerletIntegrator({inner:g} * unit.femtoseconds)"
    return f"integrator = RespaIntegrator({outer:g} * unit.femtoseconds, {best})"
