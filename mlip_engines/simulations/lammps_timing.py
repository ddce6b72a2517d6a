"""Times of steps in LAMMPS, which waits in a process of its own for the next run that is to be timed."""

from __future__ import annotations

import re
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from mlip_engines.lammps.plugin import lammps_command
from mlip_engines.simulations.child_process import Conversation, child_process
from mlip_engines.simulations.engine import initial_state
from mlip_engines.simulations.kinetics import species_of
from mlip_engines.simulations.lammps_input import (
    FINISHED,
    MEASURED,
    pair_style_of,
    preamble,
    structure_inputs_for,
    timed_run,
    write_data,
)
from mlip_engines.simulations.simulation import CONSERVATIVE, Forces, Simulation

if TYPE_CHECKING:
    from ase import Atoms

# a part of a step, and its mean time
_PART = re.compile(r"(Pair|Neigh|Comm|Output|Modify|Other)\s+\|[^|]*\|\s+(\S+)")


class LammpsTimings:
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
        self.structure = structure_inputs_for(model, atoms)
        self.failure, self.parts = "", {}
        self._stack = ExitStack()
        self._processes: dict[str, Conversation] = {}

    def __enter__(self) -> LammpsTimings:
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
