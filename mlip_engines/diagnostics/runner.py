"""From a case to finished parts on disk: what is there is not run again."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.catalogue import DIAGNOSTICS, Diagnostic
from mlip_engines.diagnostics.ranks import Alone, Ranks, share
from mlip_engines.diagnostics.result import Result
from mlip_engines.simulations.engine import Engine
from mlip_engines.simulations.simulation import CONSERVATIVE, Simulation, Trajectory

if TYPE_CHECKING:
    from ase import Atoms

RELATIVE_MS = 3.0, 1.0  # a full evaluation and one of the head alone, to share trajectories out

Progress = Callable[[str, float], None]  # what runs, and its seconds (as estimated) that are done


class Runner:
    """Runs diagnostics of a case in a folder.

    ``folder/start.extxyz`` is the structure after equilibration,
    ``folder/series/ENGINE/NAME.npz`` holds each trajectory, ``folder/parts/[ENGINE-]NAME.json`` and ``.npz``
    each result, ``folder/work`` what a trajectory that was stopped goes on from.

    Parameters
    ----------
    case : Case
    engines : list of Engine
    diagnostics : list of Diagnostic
    folder : Path
    ranks : Ranks
        Processes among which trajectories, and what needs none, are shared out.
    """

    def __init__(
        self,
        case: Case,
        engines: list[Engine],
        diagnostics: list[Diagnostic],
        folder: Path,
        ranks: Ranks | None = None,
    ):
        self.case, self.engines, self.diagnostics = case, engines, diagnostics
        self.folder, self.ranks = folder, ranks or Alone()
        self.conservative_ms, self.non_conservative_ms = 1.0, 1.0

    def claim_folder(self, description: dict[str, Any]) -> None:
        """Write what is validated into the folder, or make sure that it is the same as there.

        Raises
        ------
        ValueError
            If the folder holds the validation of something else.
        """
        path = self.folder / "validation.json"
        wanted = json.loads(json.dumps({**description, "settings": asdict(self.case.settings)}))
        if self.ranks.rank == 0 and not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".draft")
            draft.write_text(json.dumps(wanted, indent=1) + "\n")
            draft.replace(path)
        self.ranks.barrier()
        found = json.loads(path.read_text())
        if found != wanted:
            different = [k for k in wanted if found.get(k) != wanted[k]]
            raise ValueError(
                f"{self.folder} holds a validation with other {', '.join(different)}; give another folder with -o, or "
                "remove this one"
            )

    def time_model(self) -> None:
        """Measure what evaluations cost here, for estimates of the time that is left."""
        from mlip_engines.model.neighbors import neighbor_graph

        model = self.case.model
        graph = neighbor_graph(self.case.atoms, model.metadata.cutoff)

        def milliseconds(evaluate: Callable[[], object]) -> float:
            times = []
            for _ in range(6):
                start = time.perf_counter()
                evaluate()
                times.append(1000.0 * (time.perf_counter() - start))
            return float(np.median(times[3:]))  # the first calls compile

        head = self.case.has_head
        self.conservative_ms = milliseconds(
            lambda: model.evaluate(graph, with_non_conservative=head)
        )
        if head:
            self.non_conservative_ms = milliseconds(lambda: model.non_conservative(graph))

    def equilibrated(self, progress: Progress) -> None:
        """Replace the structure of the case by one that has been at its temperature for a while."""
        import ase.io

        if self.case.settings.equilibrate_ps <= 0.0:
            return
        path = self.folder / "start.extxyz"
        if self.ranks.rank == 0 and not path.exists():
            self._run(self.engines[0], self._equilibration(), self.case.atoms, progress)
            run = Trajectory.load(self._series(self.engines[0], self._equilibration()))
            if run.stopped:
                raise ValueError(
                    f"the equilibration with conservative forces stopped: {run.stopped}; give a structure that this "
                    "model knows, or --equilibrate 0"
                )
            start = self.case.atoms.copy()
            if start.pbc.any():
                start.set_cell(run.frame_cell[-1])
            start.positions = run.positions[-1]
            draft = path.with_name("draft.extxyz")
            ase.io.write(draft, start, columns=["symbols", "positions"])
            draft.replace(path)
        self.ranks.barrier()
        masses = self.case.atoms.get_masses()
        self.case.atoms = ase.io.read(path)
        self.case.atoms.set_masses(masses)

    def _equilibration(self) -> Simulation:
        ps = self.case.settings.equilibrate_ps
        return self.case.simulation(
            CONSERVATIVE,
            ps,
            ensemble="langevin",
            time_constant_fs=100.0,
            frame_every_fs=1000.0 * ps / max(1, round(ps)),
        )

    def estimate(self) -> float:
        """Seconds that all that is missing should take on this process."""
        seen: dict[Path, float] = {}
        total = 0.0
        if self.case.settings.equilibrate_ps > 0.0 and not (self.folder / "start.extxyz").exists():
            simulation = self._equilibration()
            seen[self._series(self.engines[0], simulation)] = self._cost(simulation)
        for diagnostic in self.diagnostics:
            for engine in self.engines if diagnostic.needs_engine else [None]:
                if self._part(diagnostic, engine).with_suffix(".json").exists():
                    continue
                total += self._cost_of_model(diagnostic)
                if engine is None:
                    continue
                earlier = self._finished(engine)
                wanted = diagnostic.simulations(self.case, engine.ensembles, earlier)
                for simulation in wanted.values():
                    seen[self._series(engine, simulation)] = self._cost(simulation)
        total += sum(seconds for path, seconds in seen.items() if not path.exists())
        return total / self.ranks.size

    def run(self, progress: Progress = lambda text, seconds: None) -> dict[str, Result]:
        """Run what is missing; return all parts that are there then, ``NAME`` or ``ENGINE/NAME``."""
        self.equilibrated(progress)
        waiting = [
            d
            for d in self.diagnostics
            if not d.needs_engine and not self._part(d, None).with_suffix(".json").exists()
        ]
        for engine in self.engines:
            earlier: dict[str, Result] = {}
            for diagnostic in (d for d in self.diagnostics if d.needs_engine):
                path = self._part(diagnostic, engine)
                if not path.with_suffix(".json").exists():
                    wanted = diagnostic.simulations(self.case, engine.ensembles, earlier)
                    missing = [s for s in wanted.values() if not self._series(engine, s).exists()]
                    if missing:  # together, for no process should wait for one long part
                        self._share(waiting, engine, missing, progress)
                        waiting = []
                    self._measure(diagnostic, engine, wanted, earlier, progress)
                earlier[diagnostic.name] = Result.load(path)
        self._share(waiting, None, [], progress)
        parts = self._finished(None)
        for engine in self.engines:
            parts |= {
                f"{engine.name}/{name}": part for name, part in self._finished(engine).items()
            }
        return parts

    def _share(
        self,
        of_model: list[Diagnostic],
        engine: Engine | None,
        simulations: list[Simulation],
        progress: Progress,
    ) -> None:
        """Share parts that need no engine, and trajectories of one, out among all; return when all are done."""
        self.ranks.barrier()  # all have seen what is missing before anyone makes it
        # all must share alike, so not by the times that each has measured
        costs = [d.evaluations(self.case) * RELATIVE_MS[0] / 1000.0 for d in of_model]
        costs += [s.cost(*RELATIVE_MS) for s in simulations]
        ranks_of = share(costs, self.ranks.size)
        mine = [rank == self.ranks.rank for rank in ranks_of]
        for diagnostic, is_mine in zip(of_model, mine[: len(of_model)], strict=True):
            if is_mine:
                progress(diagnostic.title, 0.0)
                self._save(diagnostic.measure(self.case, {}, {}), self._part(diagnostic, None))
                progress(diagnostic.title, self._cost_of_model(diagnostic))
        for simulation, is_mine in zip(simulations, mine[len(of_model) :], strict=True):
            if is_mine:
                self._run(engine, simulation, self.case.atoms, progress)
        if self.ranks.size > 1:
            progress("waiting for other processes", 0.0)
        self.ranks.barrier()

    def _measure(
        self,
        diagnostic: Diagnostic,
        engine: Engine,
        simulations: dict[str, Simulation],
        earlier: dict[str, Result],
        progress: Progress,
    ) -> None:
        """Make a part of finished trajectories, on the first process; return when it is there."""
        self.ranks.barrier()
        if self.ranks.rank == 0:
            runs = {k: Trajectory.load(self._series(engine, s)) for k, s in simulations.items()}
            progress(f"{engine.name} {diagnostic.title}", 0.0)
            result = diagnostic.measure(self.case, runs, earlier, engine)
            self._save(result, self._part(diagnostic, engine))
            progress(f"{engine.name} {diagnostic.title}", self._cost_of_model(diagnostic))
        self.ranks.barrier()

    def _run(
        self, engine: Engine, simulation: Simulation, atoms: Atoms, progress: Progress
    ) -> None:
        text = f"{engine.name} {simulation.ensemble} {simulation.forces.label}"
        price, reported = self._cost(simulation), 0.0

        def step(steps: int) -> None:
            nonlocal reported
            seconds = price * steps / simulation.n_steps
            progress(text, seconds - reported)
            reported = seconds

        work = self.folder / "work" / engine.name / simulation.name
        trajectory = engine.run(simulation, atoms, work, step)
        path = self._series(engine, simulation)
        path.parent.mkdir(parents=True, exist_ok=True)
        trajectory.save(path)
        shutil.rmtree(work)
        progress(text, price - reported)

    def _cost(self, simulation: Simulation) -> float:
        return simulation.cost(self.conservative_ms, self.non_conservative_ms)

    def _cost_of_model(self, diagnostic: Diagnostic) -> float:
        return diagnostic.evaluations(self.case) * self.conservative_ms / 1000.0

    def _finished(self, engine: Engine | None) -> dict[str, Result]:
        """Return the parts of an engine, or of the model alone, that are there."""
        found = {}
        for name, diagnostic in DIAGNOSTICS.items():
            path = self._part(diagnostic, engine)
            if (
                diagnostic.needs_engine == (engine is not None)
                and path.with_suffix(".json").exists()
            ):
                found[name] = Result.load(path)
        return found

    def _series(self, engine: Engine, simulation: Simulation) -> Path:
        return self.folder / "series" / engine.name / f"{simulation.name}.npz"

    def _part(self, diagnostic: Diagnostic, engine: Engine | None) -> Path:
        name = diagnostic.name if engine is None else f"{engine.name}-{diagnostic.name}"
        return self.folder / "parts" / name

    @staticmethod
    def _save(result: Result, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        result.save(path)
