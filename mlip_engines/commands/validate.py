"""The command ``mlip-validate``: the physics of a model, on the engine that will run it, as one report."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlip_engines.commands.parser import add_model, command_parser

if TYPE_CHECKING:
    from mlip_engines.diagnostics.case import Settings


_MANY = (
    "n",
    "steps",
    "ensemble",
    "stride",
    "workers",
    "beside",
)  # options that go with --structures


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-validate MODEL --structure FILE``.

    Returns
    -------
    int
        0, 1 after a message about what was expected and what was got, 130 if interrupted.
    """
    options = argument_parser().parse_args(arguments)
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        print(
            "mlip-validate: the report needs matplotlib: pip install 'mlip-engines[validate]'",
            file=sys.stderr,
        )
        return 1
    from mlip_engines.diagnostics.registry import chosen
    from mlip_engines.simulations.engine import EngineError

    before = signal.signal(signal.SIGTERM, _interrupt)  # as batch systems end a job
    try:
        chosen(options.only)  # an unknown name is refused before anything is read
        if options.structures is not None:
            return _survive(options)
        given = [n for n in _MANY if getattr(options, n) is not None]
        if given:
            raise ValueError(f"--{given[0]} goes with --structures, which is missing")
        data = _validate(options)
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


def _validate(options: argparse.Namespace) -> dict[str, Any]:
    from mlip_engines.diagnostics.case import Case, read_structure
    from mlip_engines.diagnostics.validation import validate
    from mlip_engines.model.load import load_model

    settings = _settings(options)
    atoms = read_structure(options.structure, options.index)
    return validate(
        Case(load_model(options.model), atoms, settings),
        ["lammps", "openmm"] if options.engine == "both" else [options.engine],
        options.output,
        structure_file=options.structure,
        only=options.only,
    )


def _survive(options: argparse.Namespace) -> int:
    """Judge trajectories from many structures."""
    from mlip_engines.diagnostics.survival import Survey, survey
    from mlip_engines.diagnostics.survival_report import count_lines, counts, write_survival
    from mlip_engines.labels.reading import read_checked
    from mlip_engines.model.load import load_model
    from mlip_engines.simulations.engine import make_engine

    if options.only != ["physicality"] or options.engine != "lammps":
        raise ValueError("--structures goes with --only physicality, in LAMMPS")
    names = {"n": "n", "steps": "steps", "ensemble": "ensembles", "stride": "inner_steps"}
    given = {names[n]: v for n in names if (v := getattr(options, n)) is not None}
    if "ensembles" in given:
        given["ensembles"] = tuple(dict.fromkeys(given["ensembles"]))
    settings = Survey(
        **given,
        step_fs=options.inner_step,
        temperature_K=options.temperature,
        seed=options.seed,
    )
    model = load_model(options.model)
    if settings.inner_steps > 1 and not model.metadata.has_non_conservative_forces:
        raise ValueError(
            f"--stride needs non-conservative forces, the model has {model.metadata.heads}"
        )
    data = survey(
        model,
        make_engine("lammps", model.path),
        read_checked(options.structures, labels=False, progress=True)[0],
        settings,
        options.output,
        workers=1 if options.workers is None else options.workers,
        beside=None if options.beside is None else load_model(options.beside),
    )
    rows = counts(data)
    (options.output / "report.json").write_text(json.dumps({"counts": rows, **data}))
    write_survival(options.output / "report.html", model.metadata.name, data)
    print("\n".join([*count_lines(rows), str(options.output / "report.html")]))
    return 0


def _interrupt(number: int, frame: object) -> None:
    """End like Ctrl-C, and with it the engine that runs."""
    raise KeyboardInterrupt


def _settings(options: argparse.Namespace) -> Settings:
    from mlip_engines.diagnostics.case import full, quick

    changes: dict[str, Any] = {
        "temperature_K": options.temperature,
        "inner_step_fs": options.inner_step,
        "drift_limit_meV_per_atom_per_ps": options.drift_limit,
        "fluctuation_limit_meV_per_atom": options.fluctuation_limit,
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
    for name in (
        "temperature",
        "inner_step",
        "drift_limit",
        "fluctuation_limit",
        "picoseconds",
        "runs",
        "seed",
    ):
        value = getattr(options, name)
        values = value if isinstance(value, list) else [value]
        if not all(v is None or v > 0 for v in values):
            raise ValueError(f"--{name.replace('_', '-')} must be positive, got {value}")
    if options.strides and min(options.strides) < 2:
        raise ValueError(f"--strides must be 2 or more, got {options.strides}")
    return (quick if options.quick else full)(**changes)


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-validate``."""
    from mlip_engines.diagnostics.registry import DIAGNOSTICS
    from mlip_engines.simulations.engine import engine_names

    parser = command_parser(
        "mlip-validate",
        description="Can this model be trusted, in this engine, with this stride of r-RESPA? The command runs the "
        "model through the engine and writes OUTPUT/report.html and report.json. If it is stopped, give the same "
        "command again: it continues. A model file is a program: validate only files that you trust.",
        example="mlip-validate water --structure water.extxyz --engine openmm --quick -o validation",
    )
    add_model(parser)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--structure", metavar="FILE", help="structure to simulate, in any format of ASE"
    )
    where.add_argument(
        "--structures",
        metavar="FILE",
        type=Path,
        help="with --only physicality: many structures, from which trajectories start that are judged one by one",
    )
    parser.add_argument(
        "--index", default="-1", help="which structure of the file to take (default: the last)"
    )
    parser.add_argument(
        "--engine",
        choices=(*engine_names(), "both"),
        default="lammps",
        help="where to run the model; both: LAMMPS and OpenMM (default: lammps)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("validation"),
        metavar="DIR",
        help="folder for the report and all it is made of (default: validation)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="short runs: takes minutes instead of hours"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        help="ask only these questions, and those that they build on. The names are "
        f"{', '.join(DIAGNOSTICS)}. A report that is already in the folder grows by the answers",
    )
    parser.add_argument(
        "--temperature", type=float, default=300.0, metavar="K", help="in kelvin (default: 300)"
    )
    parser.add_argument(
        "--inner-step", type=float, default=0.5, metavar="FS", help="in femtoseconds (default: 0.5)"
    )
    parser.add_argument(
        "--drift-limit",
        type=float,
        default=0.3,
        metavar="D",
        help="recommend only strides that drift by less than this, in meV/atom/ps (default: 0.3, about one kelvin "
        "per picosecond)",
    )
    parser.add_argument(
        "--fluctuation-limit",
        type=float,
        default=0.1,
        metavar="F",
        help="compare the speeds of C and r-RESPA at steps whose total energy fluctuates by less than this, in "
        "meV/atom (default: 0.1); it falls as one over the square root of the number of atoms",
    )
    parser.add_argument(
        "--strides",
        type=int,
        nargs="+",
        metavar="M",
        help="strides of r-RESPA to try, such as 2 4 8",
    )
    parser.add_argument(
        "--picoseconds",
        type=float,
        nargs="+",
        metavar="PS",
        help="length of each trajectory; or three lengths, of NVE, NVT and NPT trajectories",
    )
    parser.add_argument(
        "--runs",
        type=int,
        default=1,
        metavar="N",
        help="independent trajectories of each kind, for error bars (default: 1)",
    )
    parser.add_argument(
        "--equilibrate",
        type=float,
        metavar="PS",
        help="equilibrate with conservative forces for this long first (default: 2; 0 with --quick)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        metavar="N",
        help="seed of initial velocities and of thermostats (default: 1)",
    )
    many = parser.add_argument_group("with --structures")
    many.add_argument(
        "--n",
        type=int,
        metavar="N",
        help="structures to start from, chosen at random (default: 100)",
    )
    many.add_argument(
        "--steps", type=int, metavar="N", help="inner steps of each trajectory (default: 5000)"
    )
    many.add_argument(
        "--ensemble",
        nargs="+",
        choices=("nvt", "npt"),
        help="Langevin dynamics, Berendsen's thermostat and barostat (default: nvt)",
    )
    many.add_argument(
        "--stride", type=int, metavar="M", help="M of r-RESPA (default: 1, conservative forces)"
    )
    many.add_argument(
        "--workers", type=int, metavar="N", help="trajectories at a time (default: 1)"
    )
    many.add_argument(
        "--beside",
        metavar="MODEL",
        help="another model, such as an empirical potential: angles between the forces of the two",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
