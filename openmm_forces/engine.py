"""OpenMM as an engine of :mod:`mlip_engines.simulations`: each trajectory runs in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mlip_engines.simulations.child_process import child_process
from mlip_engines.simulations.engine import EngineError, complete_turns, initial_state
from mlip_engines.simulations.simulation import Forces, Simulation
from mlip_engines.simulations.trajectory import Trajectory

if TYPE_CHECKING:
    from ase import Atoms


class OpenmmEngine:
    """OpenMM with ``openmm_forces``; positions and cells come back in the orientation of OpenMM."""

    name: ClassVar[str] = "openmm"
    ensembles: ClassVar[tuple[str, ...]] = ("nve", "langevin", "svr", "high_pass", "npt")

    def __init__(self, model: Path):
        if importlib.util.find_spec("openmm") is None:
            raise EngineError(
                "OpenMM cannot be used: openmm is not installed; run: "
                "pip install 'mlip-engines[openmm]'"
            )
        self.model = Path(model).resolve()

    def run(
        self,
        simulation: Simulation,
        atoms: Atoms,
        folder: Path,
        progress: Callable[[int], None] = lambda steps: None,
    ) -> Trajectory:
        """Run a trajectory, see :class:`~mlip_engines.simulations.engine.Engine`."""
        import ase.io

        if simulation.ensemble not in self.ensembles:
            raise ValueError(
                f"expected an ensemble of {', '.join(self.ensembles)} for OpenMM, got "
                f"{simulation.ensemble}; use LAMMPS"
            )
        folder.mkdir(parents=True, exist_ok=True)
        start = folder / "start.traj"
        if not start.exists():
            draft = folder / "draft.traj"
            ase.io.write(draft, initial_state(atoms, simulation))
            draft.replace(start)
        job = {"simulation": asdict(simulation), "model": str(self.model), "start": start.name}
        (folder / "job.json").write_text(json.dumps(job, indent=1))
        first = 0
        while (folder / f"chunk_{first}.npz").exists():
            first += 1
        progress(first * (simulation.n_steps // simulation.n_chunks))
        done = first == simulation.n_chunks or (first > 0 and self._last(folder, first).stopped)
        if not done:
            self._execute(folder, progress)
        chunks = []
        while (path := folder / f"chunk_{len(chunks)}.npz").exists():
            chunks.append(Trajectory.load(path))
        return Trajectory.join(chunks)

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
        import ase.io

        job = {
            "choices": [asdict(forces) for forces in choices],
            "model": str(self.model),
            "start": "start.traj",
            "inner_step_fs": inner_step_fs,
            "inner_steps": inner_steps,
        }
        found: dict[str, list[float]] = {}
        last_words = "no message"
        with tempfile.TemporaryDirectory(prefix="mlip-timing-") as scratch:
            folder = Path(scratch)
            simulation = Simulation(choices[0], 1.0, inner_step_fs=inner_step_fs)
            ase.io.write(folder / "start.traj", initial_state(atoms, simulation))
            (folder / "job.json").write_text(json.dumps(job))
            command = [sys.executable, "-m", "openmm_forces.timing", "job.json"]
            try:
                with child_process(command, folder, folder / "timing.out") as process:
                    for k, forces in list(enumerate(choices)) * turns:
                        process.say(str(k))
                        for line in process:
                            words = line.split()
                            if words[:1] == ["turn"]:
                                found.setdefault(forces.file_name, []).append(float(words[1]))
                                break
                            last_words = line.strip() or last_words
                        else:
                            break  # it has ended
                        after_turn(forces)
            except subprocess.CalledProcessError as e:
                if not found:
                    raise EngineError(f"OpenMM failed: {last_words}") from e
        return complete_turns(found, choices, turns)

    @staticmethod
    def _last(folder: Path, n_chunks: int) -> Trajectory:
        return Trajectory.load(folder / f"chunk_{n_chunks - 1}.npz")

    def _execute(self, folder: Path, progress: Callable[[int], None]) -> None:
        command = [sys.executable, "-m", "openmm_forces.trajectory", "job.json"]
        last_words = "no message"
        try:
            with child_process(command, folder, folder / "openmm.out") as lines:
                for line in lines:
                    words = line.split()
                    if len(words) == 2 and words[0] == "step" and words[1].isdigit():
                        progress(int(words[1]))
                    elif line.strip():
                        last_words = line.strip()
        except subprocess.CalledProcessError as e:
            raise EngineError(
                f"OpenMM failed: {last_words}; its output is {folder / 'openmm.out'}"
            ) from e
