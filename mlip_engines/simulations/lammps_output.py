"""What ``lmp`` wrote: logs and dumps of a trajectory."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from mlip_engines.simulations.engine import EngineError
from mlip_engines.simulations.lammps_input import CELL_COLUMNS
from mlip_engines.simulations.simulation import Simulation
from mlip_engines.simulations.trajectory import Trajectory


def read_chunk(folder: Path, k: int, s: Simulation, n_species: int) -> Trajectory:
    """Read the log and the dump of a chunk."""
    log = (folder / f"chunk_{k}.log").read_text()
    n_columns = 3 + n_species + 1 + len(CELL_COLUMNS) + 2
    rows = np.array(
        [
            [float(word) for word in line.split()]
            for line in log.splitlines()
            if (words := line.split()) and words[0].isdigit() and len(words) == n_columns
        ]
    ).reshape(-1, n_columns)
    rows = rows[np.isfinite(rows).all(axis=1)]
    if len(rows) == 0:
        raise EngineError(f"expected rows of energies in {folder / f'chunk_{k}.log'}, found none")
    loop = re.search(r"Loop time of (\S+) on", log)
    to_ps = s.outer_step_fs / 1000.0
    end = 2 + n_species
    times, positions, velocities, cells = _read_dump(folder / f"chunk_{k}.dump", to_ps)
    return Trajectory(
        time_ps=rows[:, 0] * to_ps,
        potential_eV=rows[:, 1],
        kinetic_eV=rows[:, 2:end],
        conserved_eV=rows[:, end],
        pressure_bar=rows[:, end + 1],
        cell=np.array([_cell(row) for row in rows[:, end + 2 : end + 2 + len(CELL_COLUMNS)]]),
        frame_time_ps=times,
        positions=positions,
        velocities=velocities,
        frame_cell=cells,
        # the evaluation at the start of a run belongs to its first chunk
        evaluations=(rows[-1:, -2:] - (rows[:1, -2:] if k > 0 else 0)).astype(int),
        seconds=np.array([float(loop.group(1)) if loop else np.nan]),
        n_steps=np.array([rows[-1, 0] - rows[0, 0]], dtype=int),
    )


def _cell(bounds: np.ndarray) -> np.ndarray:
    """Lattice vectors (3, 3) from the bounds and tilts of LAMMPS."""
    xlo, xhi, ylo, yhi, zlo, zhi, xy, xz, yz = bounds
    return np.array([[xhi - xlo, 0, 0], [xy, yhi - ylo, 0], [xz, yz, zhi - zlo]])


def _read_dump(path: Path, to_ps: float) -> tuple[np.ndarray, ...]:
    """Times (F,), positions and velocities (F, N, 3) and cells (F, 3, 3) of a dump; whole frames only.

    ASE's reader of dumps refuses a file whose last frame is not whole, as after a run that was stopped or blew up,
    and one without a column of types.
    """
    times, positions, velocities, cells = [], [], [], []
    text = path.read_text() if path.exists() else ""
    for frame in text.split("ITEM: TIMESTEP\n")[1:]:
        head, _, body = frame.partition("ITEM: ATOMS id xu yu zu vx vy vz\n")
        head_lines = head.splitlines()
        table = np.fromstring(body, sep=" ")
        if len(head_lines) < 6 or table.size != 7 * int(head_lines[2]):
            break  # the process ended while it was writing
        table = table.reshape(-1, 7)
        times.append(int(head_lines[0]) * to_ps)
        positions.append(table[:, 1:4])
        velocities.append(table[:, 4:7])
        cells.append(_dumped_cell(head_lines[3:7]))
    if not times:
        return np.zeros(0), np.zeros((0, 0, 3)), np.zeros((0, 0, 3)), np.zeros((0, 3, 3))
    return np.array(times), np.array(positions), np.array(velocities), np.array(cells)


def _dumped_cell(lines: list[str]) -> np.ndarray:
    """Lattice vectors from BOX BOUNDS, in which a tilted box is given by its bounding box."""
    bounds = np.array([[float(word) for word in line.split()] for line in lines[1:4]])
    xy, xz, yz = bounds[:, 2] if bounds.shape[1] == 3 else (0.0, 0.0, 0.0)
    xlo, ylo = bounds[0, 0] - min(0.0, xy, xz, xy + xz), bounds[1, 0] - min(0.0, yz)
    xhi, yhi = bounds[0, 1] - max(0.0, xy, xz, xy + xz), bounds[1, 1] - max(0.0, yz)
    return _cell(np.array([xlo, xhi, ylo, yhi, *bounds[2, :2], xy, xz, yz]))
