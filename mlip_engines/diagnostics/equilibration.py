"""The structure that everything is measured on: the given one, after a while at its temperature."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlip_engines.simulations.simulation import CONSERVATIVE, Simulation
from mlip_engines.simulations.trajectory import Trajectory

if TYPE_CHECKING:
    from ase import Atoms

    from mlip_engines.diagnostics.case import Case


def equilibration(case: Case) -> Simulation:
    """Return the simulation that equilibrates a structure: conservative forces and white noise."""
    ps = case.settings.equilibrate_ps
    return case.simulation(
        CONSERVATIVE,
        ps,
        ensemble="langevin",
        time_constant_fs=100.0,
        frame_every_fs=1000.0 * ps / max(1, round(ps)),
    )


def write_last_frame(run: Trajectory, atoms: Atoms, path: Path) -> None:
    """Write the structure that a trajectory of some atoms ended at; the file is there whole or not at all.

    Raises
    ------
    ValueError
        If the trajectory stopped before its time.
    """
    import ase.io

    if run.stopped:
        raise ValueError(
            f"the equilibration with conservative forces stopped: {run.stopped}; give a structure that this "
            "model knows, or --equilibrate 0"
        )
    last = atoms.copy()
    if last.pbc.any():
        last.set_cell(run.frame_cell[-1])
    last.positions = run.positions[-1]
    draft = path.with_name("draft.extxyz")
    ase.io.write(draft, last, columns=["symbols", "positions"])
    draft.replace(path)
