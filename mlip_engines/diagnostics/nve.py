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

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.figures import panels, style_of
from mlip_engines.diagnostics.result import Result, Section, Table, with_error
from mlip_engines.simulations.drift import conservation
from mlip_engines.simulations.kinetics import species_of, temperatures
from mlip_engines.simulations.simulation import (
    CONSERVATIVE,
    NON_CONSERVATIVE,
    Forces,
    Simulation,
    Trajectory,
)
from mlip_engines.units import MEV_PER_EV

if TYPE_CHECKING:
    from ase import Atoms

    from mlip_engines.simulations.engine import Engine


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
            "drift_meV_per_atom_per_ps": found.drift.value,
            "drift_meV_per_atom_per_ps_error": found.drift.error,
            "heating_K_per_ps": found.heating.value,
            "heating_K_per_ps_error": found.heating.error,
            "fluctuation_meV_per_atom": found.fluctuation_meV_per_atom,
            "final_temperature_K": {k: v.value for k, v in found.final_temperatures_K.items()},
            "final_temperature_K_error": {
                k: v.error for k, v in found.final_temperatures_K.items()
            },
        }
    return result


class ConstantEnergy:
    """Trajectories at constant energy with every kind of forces."""

    name: ClassVar[str] = "nve"
    title: ClassVar[str] = "Constant energy (NVE)"
    needs_engine: ClassVar[bool] = True
    after: ClassVar[tuple[str, ...]] = ()

    def simulations(
        self, case: Case, ensembles: tuple[str, ...], earlier: dict[str, Result]
    ) -> dict[str, Simulation]:
        """Return the trajectories it needs, by name."""
        s, wanted = case.settings, {}
        for run in range(s.runs):
            for forces in case.force_choices(s.strides):
                wanted[f"{forces.file_name}.{run}"] = nve_simulation(case, forces, run)
        if case.has_head and "rescaled" in ensembles and not s.quick:
            wanted["rescaled.0"] = case.simulation(
                NON_CONSERVATIVE, s.nve_ps, ensemble="rescaled", row_every_fs=20.0
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
        """Drift and heating of each."""
        atoms, values, arrays = case.atoms, {}, {}
        names = list(dict.fromkeys(key.rsplit(".", 1)[0] for key in trajectories))
        for name in names:
            runs = [trajectories[key] for key in trajectories if key.rsplit(".", 1)[0] == name]
            ensemble = "rescaled" if name == "rescaled" else "nve"
            values[name] = summary(atoms, runs, ensemble)
            first = runs[0]
            arrays[f"{name}_time_ps"] = first.time_ps
            arrays[f"{name}_energy_meV_per_atom"] = (
                MEV_PER_EV * (first.conserved_eV - first.conserved_eV[0]) / len(atoms)
            )
            for element, series in temperatures(atoms, first, ensemble).items():
                arrays[f"{name}_temperature_{element}_K"] = series
        elements = species_of(atoms)
        return Result({"elements": elements, "n_atoms": len(atoms), "modes": values}, arrays)

    def render(self, result: Result) -> Section:
        """Words, a table and figures."""
        modes, elements = result.values["modes"], result.values["elements"]
        section = Section()
        head = ["forces", "ps", "drift, meV/atom/ps", "heating, K/ps"]
        head += [f"T at the end{f' of {e}' if e != 'all' else ''}, K" for e in ("all", *elements)]
        rows = []
        for name, mode in modes.items():
            final = mode.get("final_temperature_K", {})
            rows.append(
                [
                    _label(name),
                    f"{mode['picoseconds']:.2f}",
                    with_error(
                        mode.get("drift_meV_per_atom_per_ps"),
                        mode.get("drift_meV_per_atom_per_ps_error"),
                        sign=True,
                    ),
                    with_error(
                        mode.get("heating_K_per_ps"),
                        mode.get("heating_K_per_ps_error"),
                        0,
                        sign=True,
                    ),
                    *(f"{final[e]:.0f}" if e in final else "-" for e in ("all", *elements)),
                ]
            )
            if mode["stopped"]:
                section.warnings.append(
                    f"{_label(name)} blew up after {mode['picoseconds']:.3f} ps: {mode['stopped']}."
                )
        section.tables.append(Table(head, rows))
        section.paragraphs.append(_words(modes))
        if any(mode["stopped"] for mode in modes.values()):
            section.paragraphs.append(
                "Rates of a run that blew up are those until it was half as hot again as at its start."
            )
        section.figures.append(
            (
                "Left: the conservative total energy from its start. C lies on zero; where NC forces alone move "
                "the atoms it rises, because they are the gradient of nothing. Right: kinetic temperature.",
                self._figure(result),
            )
        )
        if "rescaled" in modes:
            section.paragraphs.append(_rescaled_words(modes["rescaled"], elements))
            section.figures.append(
                (
                    "NC forces with the velocities rescaled in every step so that the total energy cannot change: the "
                    "energy looks conserved, the temperatures of the elements say whether the dynamics are right.",
                    self._rescaled_figure(result),
                )
            )
        return section

    @staticmethod
    def _figure(result: Result):
        figure, (left, right) = panels(2)
        smallest = max(
            (
                np.abs(result.arrays[f"{n}_energy_meV_per_atom"]).max()
                for n in result.values["modes"]
                if n not in ("NC", "rescaled")
            ),
            default=1.0,
        )
        for name in result.values["modes"]:
            if name == "rescaled":
                continue
            time = result.arrays[f"{name}_time_ps"]
            left.plot(time, result.arrays[f"{name}_energy_meV_per_atom"], **style_of(name))
            right.plot(time, result.arrays[f"{name}_temperature_all_K"], **style_of(name))
        left.set(xlabel="time, ps", ylabel="total energy from its start, meV/atom")
        left.set_yscale("symlog", linthresh=max(0.05, min(1.0, smallest)))
        left.axhline(0.0, color="0.8", zorder=0)
        right.set(xlabel="time, ps", ylabel="kinetic temperature, K")
        right.legend(frameon=False, fontsize="small", ncols=2)
        return figure

    @staticmethod
    def _rescaled_figure(result: Result):
        figure, (axes,) = panels(1)
        for element in result.values["elements"]:
            axes.plot(
                result.arrays["rescaled_time_ps"],
                result.arrays[f"rescaled_temperature_{element}_K"],
                label=element,
            )
        axes.set(xlabel="time, ps", ylabel="kinetic temperature, K")
        axes.legend(frameon=False)
        return figure


def nve_simulation(case: Case, forces: Forces, run: int = 0) -> Simulation:
    """Return the trajectory at constant energy that several diagnostics share."""
    seed = case.settings.seed + run
    every = 16.0 if forces == NON_CONSERVATIVE else 8.0  # its rows cost a full evaluation each
    chunks = max(4, round(case.settings.nve_ps))  # also for the scatter of timings
    return case.simulation(
        forces, case.settings.nve_ps, seed=seed, row_every_fs=every, chunks=chunks
    )


def _label(name: str) -> str:
    if name == "rescaled":
        return "NC, energy forced"
    return f"r-RESPA M = {name[1:]}" if name.startswith("M") else name


def _words(modes: dict[str, Any]) -> str:
    c = modes[CONSERVATIVE.file_name]
    key = "drift_meV_per_atom_per_ps"
    drift = with_error(c.get(key), c.get(f"{key}_error"), 3, sign=True)
    words = f"With conservative forces the energy drifts by {drift} meV/atom/ps"
    nc = modes.get(NON_CONSERVATIVE.file_name)
    if nc is None:
        return words + "."
    alone = with_error(nc.get(key), nc.get(f"{key}_error"), 1, sign=True)
    key = "heating_K_per_ps"
    heating = with_error(nc.get(key), nc.get(f"{key}_error"), 0, sign=True)
    return (
        f"{words}, with non-conservative forces alone by {alone} meV/atom/ps; the kinetic temperature then changes by "
        f"{heating} K/ps."
    )


def _rescaled_words(mode: dict[str, Any], elements: list[str]) -> str:
    final = mode.get("final_temperature_K")
    if not final:
        return "The run with forced energy is too short to say anything."
    parts = ", ".join(
        f"{e} {with_error(final[e], mode['final_temperature_K_error'][e], 0)} K" for e in elements
    )
    return (
        f"Forcing the energy of NC dynamics to be constant by rescaling velocities ends at {parts}: a constant energy "
        "alone does not say that forces are right."
    )
