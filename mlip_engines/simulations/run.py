"""One call from a model and a structure to a trajectory."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlip_engines.model.contract import STRUCTURE_INPUTS
from mlip_engines.model.load import find_model
from mlip_engines.model.structure_inputs import structure_inputs_from_info
from mlip_engines.simulations.engine import make_engine
from mlip_engines.simulations.simulation import Simulation
from mlip_engines.simulations.trajectory import Trajectory

if TYPE_CHECKING:
    from ase import Atoms

RECORD = "simulation.json"


def simulate(
    model: str | Path,
    atoms: Atoms,
    simulation: Simulation,
    engine: str = "lammps",
    folder: str | Path | None = None,
    progress: Callable[[int], None] = lambda steps: None,
) -> Trajectory:
    """Run a simulation in an engine and return its trajectory.

    Parameters
    ----------
    model : str or Path
        A model file, or the name of a shipped model such as ``"water"``.
    atoms : ase.Atoms
        Periodic in all directions or in none; it is not changed. Its velocities are the initial ones if the seed
        of the simulation is 0. Total charge and spin multiplicity are taken from ``atoms.info`` (keys of
        :data:`~mlip_engines.model.structure_inputs.INFO_KEYS`) by an engine that can give them, if the model
        depends on them.
    simulation : Simulation
        What to run.
    engine : str
        One of :func:`~mlip_engines.simulations.engine.engine_names`.
    folder : str or Path, optional
        Keeps inputs, logs and restart files. If it has the first part of the same simulation, the run goes on from
        there. Without it a temporary folder is used, which is kept only if the engine fails.
    progress : callable
        Is given the number of outer steps that are done.

    Returns
    -------
    Trajectory
        One that has blown up is shorter and says so in ``stopped``: that is a result.

    Raises
    ------
    ValueError
        If there is no such engine, the engine does not have the ensemble, or the folder has another simulation.
    FileNotFoundError
        If there is no such model.
    EngineError
        If the engine is not installed, cannot use the model, or fails for a reason that says nothing about the
        forces.
    """
    program = make_engine(engine, model)
    if folder is not None:
        _claim(Path(folder), _record(find_model(model), atoms, simulation, engine))
        return program.run(simulation, atoms, Path(folder), progress)
    scratch = Path(tempfile.mkdtemp(prefix="mlip-simulation-"))
    trajectory = program.run(simulation, atoms, scratch, progress)
    shutil.rmtree(scratch)  # an exception above leaves it: its message names the logs there
    return trajectory


def _record(model: Path, atoms: Atoms, simulation: Simulation, engine: str) -> dict[str, Any]:
    state = hashlib.sha256()
    for values in (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, atoms.get_masses()):
        state.update(values.tobytes())
    inputs = structure_inputs_from_info(STRUCTURE_INPUTS, atoms.info)
    if inputs:  # a model may depend on them
        state.update(repr(sorted(inputs.items())).encode())
    if simulation.seed == 0:
        state.update(atoms.get_momenta().tobytes())
    return {
        "engine": engine,
        "simulation": asdict(simulation),
        "structure": state.hexdigest(),
        "model": hashlib.sha256(model.read_bytes()).hexdigest(),
    }


def _claim(folder: Path, record: dict[str, Any]) -> None:
    """Write down what a folder is for, or check that it is for the same."""
    path = folder / RECORD
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.glob("chunk_*")):
            raise ValueError(
                f"{folder} has chunks of a simulation but no {RECORD} that says which; choose another folder"
            )
        path.write_text(json.dumps(record, indent=1) + "\n")
        return
    found = json.loads(path.read_text())
    others = [name for name, value in record.items() if found.get(name) != value]
    if others:
        raise ValueError(
            f"{folder} has a simulation with another {' and another '.join(others)}, which cannot go on as this one; "
            "choose another folder"
        )
