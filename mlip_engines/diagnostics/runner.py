"""From a case to finished parts on disk: what is there is not run again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.diagnostic import (
    Diagnostic,
    EngineDiagnostic,
    ModelDiagnostic,
    Simulations,
    TrajectoryDiagnostic,
)
from mlip_engines.diagnostics.equilibration import equilibration, write_last_frame
from mlip_engines.diagnostics.folder import Folder
from mlip_engines.diagnostics.ranks import Alone, Ranks, share
from mlip_engines.simulations.simulation import Simulation
from mlip_engines.simulations.trajectory import Trajectory

if TYPE_CHECKING:
    from ase import Atoms

    from mlip_engines.simulations.engine import Engine

RELATIVE_MS = 3.0, 1.0  # a full evaluation and one of the head alone, to share trajectories out

Progress = Callable[[str, float], None]  # what runs, and its seconds (as estimated) that are done


class Runner:
    """Runs diagnostics of a case in a folder.

    Parameters
    ----------
    case : Case
    engines : list of Engine
    diagnostics : list of Diagnostic
        With those that they build on.
    folder : Folder
    ranks : Ranks
        Processes among which trajectories, and what needs none, are shared out.
    """

    def __init__(
        self,
        case: Case,
        engines: list[Engine],
        diagnostics: list[Diagnostic],
        folder: Folder,
        ranks: Ranks | None = None,
    ):
        self.case, self.engines, self.diagnostics = case, engines, diagnostics
        self.folder, self.ranks = folder, ranks or Alone()
        self.conservative_ms, self.non_conservative_ms = 1.0, 1.0

    def time_model(self) -> None:
        """Measure what evaluations cost here, for estimates of the time that is left."""
        from mlip_engines.model.neighbors import neighbor_graph

        model = self.case.model
        graph = neighbor_graph(
            self.case.atoms, model.metadata.cutoff, model.metadata.structure_inputs
        )

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

    def estimate(self) -> float:
        """Seconds that all that is missing should take on this process."""
        seconds = sum(self._seconds(d) for d in self._missing_of_model())
        trajectories: dict[Path, float] = {}
        if self.case.settings.equilibrate_ps > 0.0 and not self.folder.start.exists():
            simulation = equilibration(self.case)
            path = self.folder.series(self.engines[0].name, simulation)
            trajectories[path] = self._price(simulation)
        for engine in self.engines:
            missing = self._missing(engine)
            seconds += sum(self._seconds(d) for d in missing)
            for simulation in self._unfinished(self._plans(missing, engine).values(), engine):
                path = self.folder.series(engine.name, simulation)
                trajectories[path] = self._price(simulation)
        return (seconds + sum(trajectories.values())) / self.ranks.size

    def run(self, progress: Progress = lambda text, seconds: None) -> None:
        """Run what is missing."""
        self._equilibrate(progress)
        of_model = self._missing_of_model()
        for engine in self.engines:
            waiting = self._missing(engine)
            while waiting:
                names = {d.name for d in waiting}
                ready = [d for d in waiting if names.isdisjoint(d.after)]
                plans = self._plans(ready, engine)
                unfinished = self._unfinished(plans.values(), engine)
                if unfinished:  # all together, for no process should wait for one long part
                    self._share(of_model, engine, unfinished, progress)
                    of_model = []
                for diagnostic in ready:
                    self._measure(diagnostic, engine, plans.get(diagnostic.name, {}), progress)
                waiting = [d for d in waiting if d not in ready]
        self._share(of_model, None, [], progress)

    def _missing_of_model(self) -> list[ModelDiagnostic]:
        return [
            d
            for d in self.diagnostics
            if isinstance(d, ModelDiagnostic) and not self.folder.has(d.name)
        ]

    def _missing(self, engine: Engine) -> list[TrajectoryDiagnostic | EngineDiagnostic]:
        return [
            d
            for d in self.diagnostics
            if not isinstance(d, ModelDiagnostic) and not self.folder.has(d.name, engine.name)
        ]

    def _plans(self, diagnostics: list[Diagnostic], engine: Engine) -> dict[str, Simulations]:
        """Return the simulations that each diagnostic asks for, by its name."""
        earlier = self.folder.results(engine.name)
        return {
            d.name: d.simulations(self.case, engine.ensembles, earlier)
            for d in diagnostics
            if isinstance(d, TrajectoryDiagnostic)
        }

    def _unfinished(self, plans: Iterable[Simulations], engine: Engine) -> list[Simulation]:
        """Return the simulations without a trajectory, each of them once."""
        wanted = dict.fromkeys(simulation for plan in plans for simulation in plan.values())
        return [s for s in wanted if not self.folder.series(engine.name, s).exists()]

    def _equilibrate(self, progress: Progress) -> None:
        """Replace the structure of the case by one that has been at its temperature for a while."""
        import ase.io

        if self.case.settings.equilibrate_ps <= 0.0:
            return
        path, atoms = self.folder.start, self.case.atoms
        if self.ranks.rank == 0 and not path.exists():
            engine, simulation = self.engines[0], equilibration(self.case)
            self._run(engine, simulation, atoms, progress)
            run = Trajectory.load(self.folder.series(engine.name, simulation))
            write_last_frame(run, atoms, path)
        self.ranks.barrier()
        self.case.atoms = ase.io.read(path)
        self.case.atoms.set_masses(atoms.get_masses())

    def _share(
        self,
        of_model: list[ModelDiagnostic],
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
                self.folder.save(diagnostic.measure(self.case), diagnostic.name)
                progress(diagnostic.title, self._seconds(diagnostic))
        for simulation, is_mine in zip(simulations, mine[len(of_model) :], strict=True):
            if is_mine:
                self._run(engine, simulation, self.case.atoms, progress)
        if self.ranks.size > 1:
            progress("waiting for other processes", 0.0)
        self.ranks.barrier()

    def _measure(
        self,
        diagnostic: TrajectoryDiagnostic | EngineDiagnostic,
        engine: Engine,
        plan: Simulations,
        progress: Progress,
    ) -> None:
        """Make a part of an engine on the first process; return when it is there."""
        self.ranks.barrier()
        if self.ranks.rank == 0:
            text = f"{engine.name} {diagnostic.title}"
            progress(text, 0.0)
            if isinstance(diagnostic, EngineDiagnostic):
                result = diagnostic.measure(self.case, engine)
            else:
                series = {k: self.folder.series(engine.name, s) for k, s in plan.items()}
                trajectories = {k: Trajectory.load(path) for k, path in series.items()}
                result = diagnostic.measure(self.case, trajectories)
            self.folder.save(result, diagnostic.name, engine.name)
            progress(text, self._seconds(diagnostic))
        self.ranks.barrier()

    def _run(
        self, engine: Engine, simulation: Simulation, atoms: Atoms, progress: Progress
    ) -> None:
        text = f"{engine.name} {simulation.ensemble} {simulation.forces.label}"
        price, reported = self._price(simulation), 0.0

        def step(steps: int) -> None:
            nonlocal reported
            seconds = price * steps / simulation.n_steps
            progress(text, seconds - reported)
            reported = seconds

        work = self.folder.work(engine.name, simulation)
        trajectory = engine.run(simulation, atoms, work, step)
        path = self.folder.series(engine.name, simulation)
        path.parent.mkdir(parents=True, exist_ok=True)
        trajectory.save(path)
        if work.exists():  # an engine that keeps nothing need not make it
            shutil.rmtree(work)
        progress(text, price - reported)

    def _price(self, simulation: Simulation) -> float:
        return simulation.cost(self.conservative_ms, self.non_conservative_ms)

    def _seconds(self, diagnostic: Diagnostic) -> float:
        """Return what a diagnostic should take beside trajectories."""
        if isinstance(diagnostic, TrajectoryDiagnostic):
            return 0.0
        return diagnostic.evaluations(self.case) * self.conservative_ms / 1000.0
