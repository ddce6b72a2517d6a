"""The folder of a relaxation: what is finished is in it, so that a run that was killed goes on from there."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from mlip_engines.model.load import LoadedModel
from mlip_engines.relaxation.relaxed import Relaxed
from mlip_engines.relaxation.settings import Settings
from mlip_engines.relaxation.under_way import UnderWay

SAVE_EVERY = 30.0  # s
_RESULTS = (
    "relaxed.extxyz",
    "failed.extxyz",
    "results.csv",
    "report.html",
)  # without their run, of somebody else


class RelaxationFolder:
    """Files of a relaxation.

    ==================  ====================================================================
    ``relaxation.json`` the model, the settings and a checksum of the structures
    ``finished.jsonl``  a line for each structure that is done, in the order of their ends
    ``under_way.npz``   structures that are not done yet and the state of their optimisers, not older than a minute
    ``paths``           every step of each structure, if it was asked for
    ``relaxed.extxyz``  at the end: structures that are relaxed
    ``failed.extxyz``   at the end: the last geometry of the others
    ``results.csv``     at the end: a line for each structure
    ``report.html``     at the end
    ==================  ====================================================================

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path):
        self.path = path
        self._finished = path / "finished.jsonl"
        self._under_way = path / "under_way.npz"
        self._saved = time.monotonic()

    def claim(self, model: LoadedModel, structures: Sequence[Atoms], settings: Settings) -> None:
        """Write what is relaxed into the folder, or make sure that it is the same as there.

        Raises
        ------
        ValueError
            If the folder holds another relaxation, or files by the names of the results that come from elsewhere.
        """
        kept = asdict(settings)
        kept.pop("max_edges")  # how many go together does not change where they end
        wanted = {
            "model": model.metadata.name,
            "checksum": model.metadata.checksum,
            "structures": len(structures),
            "structures_checksum": checksum(structures),
            **kept,
        }
        path = self.path / "relaxation.json"
        if not path.exists():
            if self._finished.exists():
                raise ValueError(
                    f"{self.path} has {self._finished.name} and no {path.name}; give another folder with -o"
                )
            taken = [name for name in _RESULTS if (self.path / name).exists()]
            if taken:
                raise ValueError(
                    f"{self.path} has {' and '.join(taken)}, which this would overwrite; give another folder with -o"
                )
            self.path.mkdir(parents=True, exist_ok=True)
            _write(path, json.dumps(wanted, indent=1) + "\n")
            return
        found = json.loads(path.read_text())
        different = [name for name in wanted if found.get(name) != wanted[name]]
        if different:
            raise ValueError(
                f"{self.path} holds a relaxation with other {', '.join(different)}; give another folder with -o, or "
                "remove this one"
            )

    def finished(self, structures: Sequence[Atoms]) -> dict[int, Relaxed]:
        """Return what is done, by index; a line that was cut off when the run was killed is removed."""
        if not self._finished.exists():
            return {}
        text = self._finished.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        if len(whole) < len(text):
            with self._finished.open("r+b") as file:
                file.truncate(len(whole))
        lines = (json.loads(line) for line in whole.splitlines())
        return {line["index"]: _from_line(line, structures) for line in lines}

    def under_way(self) -> UnderWay | None:
        """Return where structures were that are not done, None if nothing is known of them."""
        return UnderWay.read(self._under_way) if self._under_way.exists() else None

    def save(self, under_way: Callable[[], UnderWay]) -> None:
        """Keep where structures are, if that has not been done for a while."""
        if time.monotonic() - self._saved > SAVE_EVERY:
            under_way().write(self._under_way)
            self._saved = time.monotonic()

    def append(self, relaxed: Relaxed) -> None:
        """Keep a structure that is done; its path first, so that a line says that all is there."""
        if relaxed.path:
            folder = self.path / "paths"
            folder.mkdir(exist_ok=True)
            draft = folder / f"{relaxed.index:06d}.partial"
            ase.io.write(draft, relaxed.path, format="extxyz")
            os.replace(draft, folder / f"{relaxed.index:06d}.extxyz")
        with self._finished.open("a") as file:
            file.write(json.dumps(_to_line(relaxed)) + "\n")

    def write_results(self, finished: Sequence[Relaxed], rows: Sequence[dict[str, Any]]) -> None:
        """Write the structures and the table; all structures are done."""
        self._under_way.unlink(missing_ok=True)
        for name, converged in (("relaxed", True), ("failed", False)):
            chosen = [r for r in finished if r.converged is converged]
            path = self.path / f"{name}.extxyz"
            if not chosen:
                path.unlink(missing_ok=True)
                continue
            frames = []
            for each in chosen:
                atoms = each.atoms.copy()
                atoms.calc = each.atoms.calc
                atoms.info = {**atoms.info, "index": each.index}
                if each.failure:
                    atoms.info["failure"] = each.failure
                frames.append(atoms)
            draft = path.with_suffix(".partial")
            ase.io.write(draft, frames, format="extxyz")
            os.replace(draft, path)
        with (self.path / "results.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def checksum(structures: Sequence[Atoms]) -> str:
    """Return a checksum of what a relaxation depends on of its structures."""
    found = hashlib.sha256()
    for atoms in structures:
        for part in (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc):
            found.update(np.ascontiguousarray(part).tobytes())
        found.update(repr([c.todict() for c in atoms.constraints]).encode())
        charges = {k: atoms.info[k] for k in sorted(atoms.info) if k in _INPUTS}
        found.update(repr(charges).encode())
    return found.hexdigest()


_INPUTS = ("charge", "spin", "spin_multiplicity", "total_charge")
_NUMBERS = ("steps", "largest_force", "energy_before", "energy_after")


def _to_line(relaxed: Relaxed) -> dict[str, Any]:
    values = {name: getattr(relaxed, name) for name in ("index", "failure", "reason", *_NUMBERS)}
    values = {
        name: None if isinstance(v, float) and not math.isfinite(v) else v
        for name, v in values.items()
    }
    results = relaxed.atoms.calc.results if relaxed.atoms.calc else {}
    return {
        **values,
        "positions": relaxed.atoms.positions.tolist(),
        "cell": relaxed.atoms.cell.array.tolist(),
        "results": {name: np.asarray(value).tolist() for name, value in results.items()},
    }


def _from_line(line: dict[str, Any], structures: Sequence[Atoms]) -> Relaxed:
    atoms = structures[line["index"]].copy()
    atoms.set_cell(line["cell"])
    atoms.set_positions(line["positions"], apply_constraint=False)
    results = {
        name: value if name == "energy" else np.array(value, dtype=np.float64)
        for name, value in line["results"].items()
    }
    if results:
        atoms.calc = SinglePointCalculator(atoms, **results)
    numbers = {name: float("nan") if line[name] is None else line[name] for name in _NUMBERS}
    return Relaxed(line["index"], atoms, line["failure"], line["reason"], **numbers)


def _write(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".partial")
    draft.write_text(text)
    draft.replace(path)
