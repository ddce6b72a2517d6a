"""Temperature and enthalpy of trajectories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlip_engines.simulations.kinetics import temperatures
from mlip_engines.simulations.statistics import Estimate, combine, mean_and_error
from mlip_engines.units import EV_PER_CUBIC_ANGSTROM_TO_BAR

if TYPE_CHECKING:
    from ase import Atoms

    from mlip_engines.simulations.trajectory import Trajectory


def excess_temperature(
    atoms: Atoms, trajectories: list[Trajectory], ensemble: str, temperature_K: float
) -> dict[str, Estimate]:
    """Mean kinetic temperature less that of the bath.

    Parameters
    ----------
    atoms : ase.Atoms
    trajectories : list of Trajectory
        Independent runs under the same thermostat. The first fifth of each is left out.
    ensemble : str
        As of :class:`~mlip_engines.simulations.simulation.Simulation`: it says whether the centre of mass is at rest.
    temperature_K : float, K
        Of the bath.

    Returns
    -------
    dict of str to Estimate, K
        Of ``"all"`` atoms and of each element.
    """
    found: dict[str, list[Estimate]] = {}
    for trajectory in trajectories:
        for name, series in temperatures(atoms, trajectory, ensemble).items():
            found.setdefault(name, []).append(mean_and_error(series[len(series) // 5 :]))
    result = {}
    for name, estimates in found.items():
        mean = combine(estimates)
        result[name] = Estimate(mean.value - temperature_K, mean.error)
    return result


def enthalpy(trajectory: Trajectory, pressure_bar: float) -> np.ndarray:
    """Enthalpy H = potential + kinetic energy + p V at each row of a trajectory.

    Parameters
    ----------
    trajectory : Trajectory
        Periodic.
    pressure_bar : float, bar
        That of the barostat, not the one that the atoms have at the moment.

    Returns
    -------
    (R,) array, eV
    """
    volume = np.abs(np.linalg.det(trajectory.cell))
    energy = trajectory.potential_eV + trajectory.kinetic_eV.sum(axis=1)
    return energy + pressure_bar / EV_PER_CUBIC_ANGSTROM_TO_BAR * volume
