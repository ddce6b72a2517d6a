"""The interface to an MD engine, and the engines that are installed.

A package adds an engine by an entry point of the group ``mlip_engines.engines`` in its ``pyproject.toml``:

    [project.entry-points."mlip_engines.engines"]
    gromacs = "my_package.engine:GromacsEngine"

The class has the methods of :class:`Engine` and is made from the path of a model file. It raises
:class:`EngineError` if what it needs is not installed.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from mlip_engines.model.load import find_model
from mlip_engines.simulations.simulation import Forces, Simulation
from mlip_engines.simulations.trajectory import Trajectory
from mlip_engines.units import BOLTZMANN_EV_PER_KELVIN

if TYPE_CHECKING:
    from ase import Atoms

GROUP = "mlip_engines.engines"


class EngineError(RuntimeError):
    """An engine could not run what it was asked to; the message has its last words."""


class Engine(Protocol):
    """An MD engine with a model and a structure."""

    name: ClassVar[str]
    ensembles: ClassVar[tuple[str, ...]]

    def run(
        self,
        simulation: Simulation,
        atoms: Atoms,
        folder: Path,
        progress: Callable[[int], None] = lambda steps: None,
    ) -> Trajectory:
        """Run a trajectory, or go on with it if the folder has its first part.

        Parameters
        ----------
        simulation : Simulation
        atoms : ase.Atoms
            Periodic in all directions or in none. Its velocities are the initial ones if the seed is 0.
        folder : Path
            For logs, and for what a stopped run needs to continue. It may not exist yet: the engine makes it if it
            keeps anything.
        progress : callable
            Is given the number of outer steps that are done.

        Returns
        -------
        Trajectory
            One that has blown up is shorter and says so in ``stopped``: that is a result.

        Raises
        ------
        EngineError
            If the engine fails before the first step, or later for a reason that says nothing about the forces.
        ValueError
            If it does not have the ensemble.
        """
        ...

    def time_steps(
        self,
        choices: list[Forces],
        atoms: Atoms,
        inner_step_fs: float,
        inner_steps: int,
        turns: int,
        after_turn: Callable[[Forces], None] = lambda forces: None,
    ) -> dict[str, list[float]]:
        """Measure the time of a step for several kinds of forces that take turns, at constant energy.

        They take turns so that whatever else the machine does slows all of them alike: compare times of one turn.
        The time is that of steps alone, without the evaluation at the start of a run and without energies that
        only a table would need.

        Parameters
        ----------
        choices : list of Forces
        atoms : ase.Atoms
        inner_step_fs : float
        inner_steps : int
            In one turn, rounded to whole outer steps.
        turns : int
        after_turn : callable
            Is called after each measurement with the forces that were measured, while the engine waits: to
            measure something else in the same turns.

        Returns
        -------
        dict of str to list of float, ms per inner step
            By ``file_name`` of the forces, one value for each turn; NaN where the engine did not get that far.

        Raises
        ------
        EngineError
            If it fails before the first measurement.
        """
        ...


def complete_turns(
    found: dict[str, list[float]], choices: list[Forces], turns: int
) -> dict[str, list[float]]:
    """Fill up with NaN the turns that an engine did not reach."""
    return {
        f.file_name: (found.get(f.file_name, []) + [float("nan")] * turns)[:turns] for f in choices
    }


def engine_names() -> tuple[str, ...]:
    """Return the names of all engines that installed packages offer, sorted."""
    return tuple(sorted(_offered()))


def make_engine(name: str, model: str | Path) -> Engine:
    """Return an engine by its name.

    Parameters
    ----------
    name : str
        One of :func:`engine_names`, such as ``"lammps"`` or ``"openmm"``.
    model : str or Path
        A model file, or the name of a shipped model such as ``"water"``.

    Raises
    ------
    ValueError
        If there is no such engine.
    FileNotFoundError
        If there is no such model.
    EngineError
        If the engine is not installed, or cannot use the model.
    """
    offered = _offered()
    if name not in offered:
        known = ", ".join(sorted(offered)) or "none is registered: install mlip-engines again"
        raise ValueError(f"engine must be one of {known}, got {name!r}")
    path = find_model(model)
    try:
        kind = offered[name].load()
    except ImportError as e:
        raise EngineError(
            f"the engine {name} ({offered[name].value}) cannot be imported: {e}"
        ) from e
    return kind(path)


def _offered() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def initial_state(atoms: Atoms, simulation: Simulation) -> Atoms:
    """Copy a structure and give it the velocities of a simulation, the centre of mass at rest."""
    start, masses = atoms.copy(), atoms.get_masses()[:, None]
    momenta = start.get_momenta()
    if simulation.seed != 0:
        rng = np.random.default_rng(simulation.seed)
        kT = BOLTZMANN_EV_PER_KELVIN * simulation.temperature_K
        momenta = np.sqrt(masses * kT) * rng.normal(size=momenta.shape)
    start.set_momenta(momenta - masses * momenta.sum(axis=0) / masses.sum())
    return start
