r"""Does the energy stay what it was? Drift and heating at constant energy, for C, NC and each stride.

The energy is the conservative one in all modes, so it drifts where the forces are not its gradient, and where the
integrator errs. Drift: see :mod:`mlip_engines.simulations.drift`. Heating: slope of the kinetic temperature, K/ps. What
velocity rescaling hides: NC forces with the velocities scaled in every step so that E stays E(0);
the flow of energy then goes on between the elements, whose temperatures separate.

References
----------
Bigi, Langer, Ceriotti, ICML 2025 (arXiv:2412.11569), figures 2, 8, 16 and appendix G.4.
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
from mlip_engines.report.figures import panels
from mlip_engines.report.numbers import number, with_error
from mlip_engines.simulations.drift import conservation
from mlip_engines.simulations.kinetics import species_of, temperatures
from mlip_engines.simulations.simulation import NON_CONSERVATIVE, Forces, Simulation
from mlip_engines.simulations.trajectory import Trajectory
from mlip_engines.units import MEV_PER_EV

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

DRIFT = "drift_meV_per_atom_per_ps"
HEATING = "heating_K_per_ps"


class ConstantEnergy(TrajectoryDiagnostic):
    """Trajectories at constant energy with every kind of forces."""

    name = "nve"
    title = "Constant energy (NVE)"

    def simulations(self, case: Case, ensembles: Ensembles, earlier: Results) -> Simulations:
        """All kinds of forces, and NC with its energy forced."""
        s, wanted = case.settings, {}
        for run in range(s.runs):
            for forces in case.force_choices(s.strides):
                wanted[f"{forces.file_name}.{run}"] = nve_simulation(case, forces, run)
        if case.has_head and "rescaled" in ensembles and not s.quick:
            wanted["rescaled.0"] = case.simulation(
                NON_CONSERVATIVE, s.nve_ps, ensemble="rescaled", row_every_fs=20.0
            )
        return wanted

    def measure(self, case: Case, trajectories: Trajectories) -> Result:
        """Drift and heating of each."""
        atoms, modes, arrays = case.atoms, {}, {}
        for name, runs in independent_runs(trajectories).items():
            ensemble = "rescaled" if name == "rescaled" else "nve"
            modes[name] = summary(atoms, runs, ensemble)
            first = runs[0]
            arrays[f"{name}_time_ps"] = first.time_ps
            arrays[f"{name}_energy_meV_per_atom"] = (
                MEV_PER_EV * (first.conserved_eV - first.conserved_eV[0]) / len(atoms)
            )
            for element, series in temperatures(atoms, first, ensemble).items():
                arrays[f"{name}_temperature_{element}_K"] = series
        values = {"elements": species_of(atoms), "n_atoms": len(atoms), "modes": modes}
        return Result(values, arrays)

    def render(self, result: Result) -> Section:
        """Words, a table and figures."""
        modes, elements = result.values["modes"], result.values["elements"]
        caption = (
            "Left: change of the total energy, which is the conservative one in all cases. C lies on zero. It rises "
            "where NC forces alone move the atoms, because no energy belongs to these forces. Right: kinetic "
            "temperature."
        )
        section = Section([_words(modes)], [_table(modes, elements)], [(caption, _figure(result))])
        stopped = {name: mode for name, mode in modes.items() if mode["stopped"]}
        section.warnings += [
            f"{_label(name)} blew up after {mode['picoseconds']:.3f} ps: {mode['stopped']}."
            for name, mode in stopped.items()
        ]
        if stopped:
            section.paragraphs.append(
                "For a run that blew up, rates are measured until it was half as hot again as at its start."
            )
        if "rescaled" in modes:
            section.paragraphs.append(_rescaled_words(modes["rescaled"], elements))
            caption = (
                "NC forces with the velocities rescaled in every step so that the total energy cannot change: the "
                "energy looks conserved, but the temperatures of the elements show whether the dynamics are right."
            )
            section.figures.append((caption, _rescaled_figure(result)))
        return section

    def verdict(self, result: Result, beside: Results) -> str:
        """What NC forces do alone."""
        nc = result.values["modes"].get("NC", {})
        if nc.get(HEATING) is None:
            return ""
        heating, error = nc[HEATING], nc[f"{HEATING}_error"]
        if heating > 2.0 * (error or 0.0):
            return (
                "never use non-conservative forces alone: they heat this system by "
                f"{number(heating, 0, sign=True)} K/ps."
            )
        return (
            "heating by non-conservative forces alone is not larger than its error: "
            f"{with_error(heating, error, 0, sign=True)} K/ps."
        )


def summary(atoms: Atoms, runs: list[Trajectory], ensemble: str = "nve") -> dict[str, Any]:
    """Return :func:`~mlip_engines.simulations.drift.conservation` as the report stores it.

    Parameters
    ----------
    atoms : ase.Atoms
    runs : list of Trajectory
    ensemble : str

    Returns
    -------
    dict
        ``drift_meV_per_atom_per_ps``, ``heating_K_per_ps`` with ``_error`` each, ``fluctuation_meV_per_atom``
        about the drift, ``final_temperature_K`` (last fifth) by element and of all, all of them missing where runs
        are too short; ``picoseconds``, ``stopped``.
    """
    found = conservation(atoms, runs, ensemble)
    result: dict[str, Any] = {"picoseconds": found.picoseconds, "stopped": found.stopped}
    if found.final_temperatures_K:
        result |= {
            DRIFT: found.drift.value,
            f"{DRIFT}_error": found.drift.error,
            HEATING: found.heating.value,
            f"{HEATING}_error": found.heating.error,
            "fluctuation_meV_per_atom": found.fluctuation_meV_per_atom,
            "final_temperature_K": {k: v.value for k, v in found.final_temperatures_K.items()},
            "final_temperature_K_error": {
                k: v.error for k, v in found.final_temperatures_K.items()
            },
        }
    return result


def nve_simulation(
    case: Case, forces: Forces, run: int = 0, inner_step_fs: float | None = None
) -> Simulation:
    """Return the trajectory at constant energy that several diagnostics share."""
    seed = case.settings.seed + run
    every = 16.0 if forces == NON_CONSERVATIVE else 8.0  # its rows cost a full evaluation each
    chunks = max(4, round(case.settings.nve_ps))  # also for the scatter of timings
    return case.simulation(
        forces,
        case.settings.nve_ps,
        seed=seed,
        row_every_fs=every,
        chunks=chunks,
        inner_step_fs=inner_step_fs or case.settings.inner_step_fs,
    )


def _label(name: str) -> str:
    if name == "rescaled":
        return "NC, energy forced"
    return f"r-RESPA {label_of(name)}" if name.startswith("M") else name


def _rate(mode: dict[str, Any], key: str, digits: int) -> str:
    return with_error(mode.get(key), mode.get(f"{key}_error"), digits, sign=True)


def _words(modes: dict[str, Any]) -> str:
    words = (
        f"With conservative forces the energy drifts by {_rate(modes['C'], DRIFT, 3)} meV/atom/ps"
    )
    if "NC" not in modes:
        return words + "."
    return (
        f"{words}, with non-conservative forces alone by {_rate(modes['NC'], DRIFT, 1)} meV/atom/ps; the kinetic "
        f"temperature then changes by {_rate(modes['NC'], HEATING, 0)} K/ps."
    )


def _rescaled_words(mode: dict[str, Any], elements: list[str]) -> str:
    final = mode.get("final_temperature_K")
    if not final:
        return "The run whose energy is kept constant by rescaling is too short to tell anything."
    parts = ", ".join(
        f"{e} {with_error(final[e], mode['final_temperature_K_error'][e], 0)} K" for e in elements
    )
    return (
        f"With velocities rescaled so that the energy of NC dynamics stays constant, the run ends at {parts}. A "
        "constant energy alone does not show that the forces are right."
    )


def _table(modes: dict[str, Any], elements: list[str]) -> Table:
    of = ["all", *elements]
    header = ["forces", "ps", "drift, meV/atom/ps", "heating, K/ps"]
    header += [f"T at the end{f' of {e}' if e != 'all' else ''}, K" for e in of]
    rows = []
    for name, mode in modes.items():
        row = [_label(name), f"{mode['picoseconds']:.2f}"]
        row += [_rate(mode, DRIFT, 2), _rate(mode, HEATING, 0)]
        final = mode.get("final_temperature_K", {})
        rows.append([*row, *(f"{final[e]:.0f}" if e in final else "-" for e in of)])
    return Table(header, rows)


def _figure(result: Result) -> Figure:
    figure, (left, right) = panels(2)
    shown = [name for name in result.values["modes"] if name != "rescaled"]
    energies = {name: result.arrays[f"{name}_energy_meV_per_atom"] for name in shown}
    smallest = max((np.abs(e).max() for name, e in energies.items() if name != "NC"), default=1.0)
    for name in shown:
        time = result.arrays[f"{name}_time_ps"]
        left.plot(time, energies[name], **style_of(name))
        right.plot(time, result.arrays[f"{name}_temperature_all_K"], **style_of(name))
    left.set(xlabel="time, ps", ylabel="total energy from its start, meV/atom")
    left.set_yscale("symlog", linthresh=max(0.05, min(1.0, smallest)))
    left.axhline(0.0, color="0.8", zorder=0)
    right.set(xlabel="time, ps", ylabel="kinetic temperature, K")
    right.legend(frameon=False, fontsize="small", ncols=2)
    return figure


def _rescaled_figure(result: Result) -> Figure:
    figure, (axes,) = panels(1)
    time = result.arrays["rescaled_time_ps"]
    for element in result.values["elements"]:
        axes.plot(time, result.arrays[f"rescaled_temperature_{element}_K"], label=element)
    axes.set(xlabel="time, ps", ylabel="kinetic temperature, K")
    axes.legend(frameon=False)
    return figure
