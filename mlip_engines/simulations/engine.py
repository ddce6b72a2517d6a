"""The small interface that diagnostics drive an MD engine through."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from mlip_engines.launcher import without_launcher
from mlip_engines.simulations.simulation import Forces, Simulation, Trajectory
from mlip_engines.units import BOLTZMANN_EV_PER_KELVIN

if TYPE_CHECKING:
    from ase import Atoms

ENGINES = ("lammps", "openmm")


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
            For what a stopped run needs to go on, and for logs.
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
    ) -> dict[str, list[float]]:
        """Take the time of kinds of forces that take turns in one process, at constant energy.

        Parameters
        ----------
        choices : list of Forces
        atoms : ase.Atoms
        inner_step_fs : float
        inner_steps : int
            In one turn, rounded to whole outer steps.
        turns : int

        Returns
        -------
        dict of str to list of float, ms per inner step
            By ``file_name`` of the forces, one value for each turn; NaN where the process did not get.

        Raises
        ------
        EngineError
            If it fails before the first measurement.
        """
        ...


def complete_turns(
    found: dict[str, list[float]], choices: list[Forces], turns: int
) -> dict[str, list[float]]:
    """Fill up with NaN the turns that a process did not reach."""
    return {
        f.file_name: (found.get(f.file_name, []) + [float("nan")] * turns)[:turns] for f in choices
    }


def make_engine(name: str, model: Path) -> Engine:
    """Return an engine by its name.

    Raises
    ------
    ValueError
        If there is no such engine.
    EngineError
        If it is not installed, or cannot use the model.
    """
    if name == "lammps":
        from mlip_engines.simulations.lammps import LammpsEngine

        return LammpsEngine(model)
    if name == "openmm":
        from mlip_engines.simulations.openmm import OpenmmEngine

        return OpenmmEngine(model)
    raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {name!r}")


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


@contextmanager
def child_process(command: list[str], folder: Path, output: Path) -> Iterator[Iterator[str]]:
    """Run a command, and yield its lines while they come; they are also appended to a file.

    The process ends with the block, whatever happens in it.

    Parameters
    ----------
    command : list of str
    folder : Path
        Where it runs.
    output : Path

    Yields
    ------
    iterator of str

    Raises
    ------
    subprocess.CalledProcessError
        At the end of the block, if it exits with anything but 0.
    """
    environment = without_launcher(os.environ)
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # a group of its own: lmp is a child of what is started here
    )
    try:
        with output.open("a") as log:

            def lines() -> Iterator[str]:
                for line in process.stdout:
                    log.write(line)
                    log.flush()
                    yield line

            yield lines()
        if process.wait() != 0:
            raise subprocess.CalledProcessError(process.returncode, command)
    finally:
        process.stdout.close()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
