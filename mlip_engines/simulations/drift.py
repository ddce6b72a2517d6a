r"""The drift of a conserved energy, with its error: one definition for tables, reports and benchmarks.

**Definition.** The drift is the least-squares slope of the conserved energy against time, divided by the
number of atoms, in meV/atom/ps. The conserved energy is the total energy less what thermostats and
barostats gave; its potential part is conservative in every mode, so that the drift of non-conservative
forces is the energy they pump into the system.

- *The start is left out.* The first tenth of the rows does not count: velocities that have just been drawn
  do not know where the atoms are.
- *The error* is the standard error of the slope times the square root of the statistical inefficiency of
  the residuals, because neighbouring rows are correlated (:mod:`~mlip_engines.simulations.statistics`).
- *Several runs* that differ in their velocities are averaged. The error is then the larger of their scatter
  and of what each claims.
- *A run that blew up* counts until its kinetic temperature is half as large again as at its start. The
  slope through an explosion would say how violent it was, not what led to it.

>>> import numpy as np
>>> time_ps = np.linspace(0.0, 2.0, 101)
>>> energy_eV = -10.0 + 0.064 * time_ps
>>> round(energy_drift(time_ps, energy_eV, n_atoms=64).value, 6)   # meV/atom/ps
1.0
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlip_engines.simulations.kinetics import temperatures
from mlip_engines.simulations.statistics import Estimate, combine, mean_and_error, slope_and_error
from mlip_engines.simulations.trajectory import Trajectory
from mlip_engines.units import MEV_PER_EV

if TYPE_CHECKING:
    from ase import Atoms

LEFT_OUT = 10  # one in so many rows, at the start
HOT = 1.5  # times the temperature of the start: from there on a run that blew up tells no rate
FEWEST_ROWS = 4  # of a run, for a slope with an error
UNKNOWN = Estimate(float("nan"), float("nan"))


def energy_drift(time_ps: ArrayLike, energy_eV: ArrayLike, n_atoms: int) -> Estimate:
    """Slope of a conserved energy per atom, without the first tenth of the rows.

    Parameters
    ----------
    time_ps : (n,) array, ps
    energy_eV : (n,) array, eV
        Of all atoms together.
    n_atoms : int

    Returns
    -------
    Estimate, meV/atom/ps
        The error is NaN for less than four rows.

    Raises
    ------
    ValueError
        If there are less than two rows, or all are of the same time.
    """
    kept = slice(len(np.asarray(time_ps)) // LEFT_OUT, None)
    slope = slope_and_error(np.asarray(time_ps)[kept], np.asarray(energy_eV)[kept])
    return Estimate(*(MEV_PER_EV * value / n_atoms for value in slope))


def energy_fluctuation(time_ps: ArrayLike, energy_eV: ArrayLike, n_atoms: int) -> Estimate:
    """Standard deviation of a conserved energy about the line whose slope is its drift, without the first tenth.

    With s^2 the mean square of the residuals, the error of s is that of s^2, with rows that are correlated, over 2 s.

    Parameters
    ----------
    time_ps : (n,) array, ps
    energy_eV : (n,) array, eV
        Of all atoms together.
    n_atoms : int

    Returns
    -------
    Estimate, meV/atom
        The error is NaN for less than four rows.
    """
    time, energy = np.asarray(time_ps), np.asarray(energy_eV)
    kept = slice(len(time) // LEFT_OUT, None)
    time, energy = time[kept], energy[kept]
    residuals = MEV_PER_EV / n_atoms * (energy - np.polyval(np.polyfit(time, energy, 1), time))
    square = mean_and_error(residuals**2)
    root = float(np.sqrt(square.value))
    if len(time) < FEWEST_ROWS:
        return Estimate(root, float("nan"))
    return Estimate(root, square.error / (2.0 * root) if root > 0.0 else 0.0)


def rows_before_explosion(trajectory: Trajectory, temperature_K: NDArray[np.float64]) -> int:
    """Return how many rows tell a rate: all, or those of a run that blew up until it is half as hot again.

    Parameters
    ----------
    trajectory : Trajectory
    temperature_K : (R,) array, K
        Of all atoms, see :func:`~mlip_engines.simulations.kinetics.temperatures`.
    """
    hot = np.flatnonzero(temperature_K > HOT * temperature_K[0])
    if trajectory.stopped and hot.size:
        return max(FEWEST_ROWS, int(hot[0]))
    return len(temperature_K)


@dataclass(frozen=True)
class Conservation:
    """How well energy and temperature were conserved, in runs that differ only in their velocities.

    Parameters
    ----------
    drift : Estimate, meV/atom/ps
        NaN where all runs are too short to tell.
    heating : Estimate, K/ps
        Slope of the kinetic temperature, from the first row on.
    fluctuation_meV_per_atom : float
        Standard deviation of the conserved energy about its line, averaged over runs.
    fluctuation_error_meV_per_atom : float
        Its standard error: that of the mean square, of correlated rows, or the scatter of runs if that is larger.
    final_temperatures_K : dict of str to Estimate
        Mean over the last fifth of each run, of ``"all"`` atoms and of each element.
    picoseconds : float
        Of all runs together.
    stopped : str
        Why the first run that blew up did; empty if none did.
    """

    drift: Estimate
    heating: Estimate
    fluctuation_meV_per_atom: float
    fluctuation_error_meV_per_atom: float
    final_temperatures_K: dict[str, Estimate]
    picoseconds: float
    stopped: str


def conservation(atoms: Atoms, runs: list[Trajectory], ensemble: str = "nve") -> Conservation:
    """Measure drift, heating and final temperatures of runs that differ only in their velocities.

    Parameters
    ----------
    atoms : ase.Atoms
        For elements and masses.
    runs : list of Trajectory
        Those of less than four rows count for ``picoseconds`` and ``stopped`` alone.
    ensemble : str
        As of :class:`~mlip_engines.simulations.simulation.Simulation`: it says whether the centre of mass
        has a temperature.

    Returns
    -------
    Conservation
    """
    drifts, heatings, fluctuations = [], [], []
    final: dict[str, list[Estimate]] = {}
    for run in runs:
        if len(run.time_ps) < FEWEST_ROWS:
            continue
        by_element = temperatures(atoms, run, ensemble)
        end = rows_before_explosion(run, by_element["all"])
        time, energy = run.time_ps[:end], run.conserved_eV[:end]
        drifts.append(energy_drift(time, energy, len(atoms)))
        fluctuations.append(energy_fluctuation(time, energy, len(atoms)))
        heatings.append(slope_and_error(time, by_element["all"][:end]))
        n_last = max(2, len(run.time_ps) // 5)
        for name, values in by_element.items():
            final.setdefault(name, []).append(mean_and_error(values[-n_last:]))
    fluctuation = combine(fluctuations) if drifts else UNKNOWN
    return Conservation(
        drift=combine(drifts) if drifts else UNKNOWN,
        heating=combine(heatings) if heatings else UNKNOWN,
        fluctuation_meV_per_atom=fluctuation.value,
        fluctuation_error_meV_per_atom=fluctuation.error,
        final_temperatures_K={name: combine(values) for name, values in final.items()},
        picoseconds=float(sum(run.time_ps[-1] - run.time_ps[0] for run in runs)),
        stopped=next((run.stopped for run in runs if run.stopped), ""),
    )
