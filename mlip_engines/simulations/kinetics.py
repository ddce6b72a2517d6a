"""Kinetic temperatures, of all atoms and of each element."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlip_engines.simulations.trajectory import Trajectory
from mlip_engines.units import BOLTZMANN_EV_PER_KELVIN

if TYPE_CHECKING:
    from ase import Atoms

MOMENTUM_IS_FREE = (
    "langevin",
    "gle",
    "high_pass",
)  # ensembles whose thermostat moves the centre of mass


def species_of(atoms: Atoms) -> list[str]:
    """Return the elements of a structure, sorted: the order of kinetic energies."""
    return sorted(set(atoms.get_chemical_symbols()))


def degrees_of_freedom(atoms: Atoms, *, momentum_is_free: bool) -> NDArray[np.float64]:
    """Degrees of freedom of each element.

    3 N_s - 3 m_s / m where the momentum is zero and stays so: the three degrees of freedom of the
    centre of mass are shared by mass, as their kinetic energy would be.

    Parameters
    ----------
    atoms : ase.Atoms
    momentum_is_free : bool
        Whether a thermostat acts on the centre of mass too; then 3 N_s.

    Returns
    -------
    (S,) array
        In the order of :func:`species_of`.
    """
    symbols, masses = np.array(atoms.get_chemical_symbols()), atoms.get_masses()
    lost = 0.0 if momentum_is_free else 3.0
    return np.array(
        [
            3.0 * (symbols == s).sum() - lost * masses[symbols == s].sum() / masses.sum()
            for s in species_of(atoms)
        ]
    )


def temperatures(atoms: Atoms, trajectory: Trajectory, ensemble: str) -> dict[str, NDArray]:
    """Kinetic temperature T = 2 K / (f kB) of ``"all"`` and of each element.

    Parameters
    ----------
    atoms : ase.Atoms
    trajectory : Trajectory
    ensemble : str
        As of :class:`~mlip_engines.simulations.simulation.Simulation`.

    Returns
    -------
    dict of str to (R,) array, K
    """
    freedom = degrees_of_freedom(atoms, momentum_is_free=ensemble in MOMENTUM_IS_FREE)
    kinetic = trajectory.kinetic_eV  # (R, S)
    result = {"all": 2.0 * kinetic.sum(axis=1) / (freedom.sum() * BOLTZMANN_EV_PER_KELVIN)}
    for k, symbol in enumerate(species_of(atoms)):
        result[symbol] = 2.0 * kinetic[:, k] / (freedom[k] * BOLTZMANN_EV_PER_KELVIN)
    return result
