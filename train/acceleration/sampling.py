"""Frames from the model's own dynamics in LAMMPS, at the temperatures asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ase.io
from ase import Atoms

from mlip_engines.simulations import Forces, Simulation, Trajectory, simulate
from mlip_train.acceleration.request import Request
from mlip_train.acceleration.starts import Plan, Start

ATTEMPTS = 3  # each with half the step, and with other velocities
ENGINE = "lammps"


class UnstableDynamicsError(ValueError):
    """The dynamics of the model blow up at every step that was tried."""


def sample(
    request: Request,
    model: Path,
    forces: Forces,
    inner_step_fs: float,
    plan: Plan,
    folder: Path,
    seed: int,
    say: Callable[[str], None],
) -> list[Path]:
    """Simulate from each start and write the frames of each, velocities included.

    Parameters
    ----------
    request : Request
    model : Path
    forces : Forces
        Conservative ones, or r-RESPA as soon as there is an inner force: its trajectories are those of the energy.
    inner_step_fs : float
    plan : Plan
    folder : Path
        Simulations in it that were interrupted go on.
    seed : int
    say : callable

    Returns
    -------
    list of Path
        One file of frames for each start, in the order of the plan.

    Raises
    ------
    UnstableDynamicsError
        If a simulation blows up at its step, at half and at a quarter of it.
    EngineError
        If LAMMPS fails for a reason that says nothing about the forces.
    """
    files = []
    for k, begin in enumerate(plan.starts):
        path = folder / f"start_{k}.extxyz"
        if not path.exists():
            say(f"samples {plan.picoseconds:.2g} ps of {begin.label}, {forces.label}")
            atoms = request.structures[begin.structure]
            trajectory = _stable(
                model, atoms, begin, forces, inner_step_fs, plan, folder / f"start_{k}", seed
            )
            # the first frame is the structure itself with new velocities
            frames = trajectory.structures(atoms, range(1, len(trajectory.positions)))
            for frame in frames:
                frame.info["start"] = begin.structure
                frame.info["temperature_K"] = begin.temperature_K
                if begin.pressure_bar is not None:
                    frame.info["pressure_bar"] = begin.pressure_bar
            draft = path.with_suffix(".partial")
            ase.io.write(draft, frames, format="extxyz")
            draft.replace(path)
        files.append(path)
    return files


def read_frames(files: list[Path]) -> list[Atoms]:
    """Read the frames of several files."""
    return [atoms for path in files for atoms in ase.io.read(path, ":", format="extxyz")]


def _stable(
    model: Path,
    atoms: Atoms,
    begin: Start,
    forces: Forces,
    inner_step_fs: float,
    plan: Plan,
    folder: Path,
    seed: int,
) -> Trajectory:
    """Return a trajectory that did not blow up, with a shorter step and other velocities if need be."""
    said = []
    for attempt in range(ATTEMPTS):
        step = inner_step_fs / 2**attempt
        simulation = Simulation(
            forces,
            plan.picoseconds,
            ensemble="svr" if begin.pressure_bar is None else "npt",
            pressure_bar=begin.pressure_bar or 0.0,
            inner_step_fs=step,
            temperature_K=begin.temperature_K,
            row_every_fs=max(8.0, forces.inner_steps * step),
            frame_every_fs=max(plan.frame_every_fs, forces.inner_steps * step),
            seed=seed + 101 * attempt,
        )
        trajectory = simulate(model, atoms, simulation, ENGINE, folder / f"attempt_{attempt}")
        if not trajectory.stopped and len(trajectory.positions) > 1:
            return trajectory
        said.append(f"at {step:g} fs after {trajectory.time_ps[-1]:.3g} ps ({trajectory.stopped})")
    raise UnstableDynamicsError(
        f"{atoms.get_chemical_formula()} at {begin.temperature_K:g} K: the dynamics of the model blew up "
        f"{', then '.join(said)}; expected them to last {plan.picoseconds:g} ps. Start from a relaxed structure, or "
        "lower --temperature; if neither helps, the model does not hold this system"
    )
