"""The folder of a validation: what is finished, and what it belongs to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlip_engines.diagnostics.diagnostic import Diagnostic, ModelDiagnostic, Results
from mlip_engines.diagnostics.ranks import Ranks
from mlip_engines.diagnostics.result import Result

if TYPE_CHECKING:
    from mlip_engines.simulations.simulation import Simulation


class Folder:
    """Names of files in the folder of a validation, and what is there.

    ==========================================  =======================================================
    ``validation.json``                         what is validated, with which settings
    ``start.extxyz``                            the structure after equilibration
    ``series/ENGINE/SIMULATION.npz``            each trajectory
    ``parts/[ENGINE-]NAME.json``, ``.npz``      numbers and series of each diagnostic
    ``work``                                    what a trajectory that was stopped goes on from
    ==========================================  =======================================================

    Parameters
    ----------
    path : Path
    known : mapping of str to Diagnostic
        Those whose parts are looked for, in the order of the report.
    """

    def __init__(self, path: Path, known: Mapping[str, Diagnostic]):
        self.path, self.known = path, known
        self.start = path / "start.extxyz"

    def claim(self, description: dict[str, Any], ranks: Ranks) -> None:
        """Write what is validated into the folder, or make sure that it is the same as there.

        Raises
        ------
        ValueError
            If the folder holds the validation of something else.
        """
        path = self.path / "validation.json"
        wanted = json.loads(json.dumps(description))
        if ranks.rank == 0 and not path.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".draft")
            draft.write_text(json.dumps(wanted, indent=1) + "\n")
            draft.replace(path)
        ranks.barrier()
        found = json.loads(path.read_text())
        if found != wanted:
            different = [k for k in wanted if found.get(k) != wanted[k]]
            raise ValueError(
                f"{self.path} holds a validation with other {', '.join(different)}; give another folder with -o, or "
                "remove this one"
            )

    def series(self, engine: str, simulation: Simulation) -> Path:
        """Return where the trajectory of a simulation is, or will be."""
        return self.path / "series" / engine / f"{simulation.name}.npz"

    def work(self, engine: str, simulation: Simulation) -> Path:
        """Return the folder in which an engine runs a simulation."""
        return self.path / "work" / engine / simulation.name

    def has(self, name: str, engine: str = "") -> bool:
        """Whether a part is finished; without an engine, one of the model alone."""
        return self._part(name, engine).with_suffix(".json").exists()

    def save(self, result: Result, name: str, engine: str = "") -> None:
        """Write a part."""
        path = self._part(name, engine)
        path.parent.mkdir(parents=True, exist_ok=True)
        result.save(path)

    def results(self, engine: str) -> Results:
        """Return the finished parts of an engine, by name."""
        names = [n for n, d in self.known.items() if not isinstance(d, ModelDiagnostic)]
        return {n: Result.load(self._part(n, engine)) for n in names if self.has(n, engine)}

    def parts(self) -> Results:
        """Return all finished parts, ``NAME`` or ``ENGINE/NAME``, in the order of the report.

        Parts of the same question in several engines are beside each other, whenever they were run.
        """
        found: Results = {}
        for name, diagnostic in self.known.items():
            if isinstance(diagnostic, ModelDiagnostic):
                if self.has(name):
                    found[name] = Result.load(self._part(name, ""))
                continue
            for path in sorted((self.path / "parts").glob(f"*-{name}.json")):
                engine = path.stem.removesuffix(f"-{name}")
                found[f"{engine}/{name}"] = Result.load(self._part(name, engine))
        return found

    def _part(self, name: str, engine: str) -> Path:
        return self.path / "parts" / (f"{engine}-{name}" if engine else name)
