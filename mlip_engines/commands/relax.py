"""The command ``mlip-relax``: argument parsing, and the order of what happens."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from mlip_engines.commands.parser import (
    FORCES,
    add_device,
    add_edges,
    add_forces,
    add_model,
    add_units,
    command_parser,
)
from mlip_engines.readers.registry import format_titles


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-relax MODEL STRUCTURES -o FOLDER``; the options are in its help.

    Returns
    -------
    int
        0, also if structures fail, which is reported; 1 after a message about what was expected and what was got;
        130 if interrupted.
    """
    options = argument_parser().parse_args(arguments)
    before = signal.signal(signal.SIGTERM, _interrupt)  # as batch systems end a job
    try:
        return _relax(options)
    except KeyboardInterrupt:
        print(
            "\nmlip-relax: interrupted; what is finished is kept, the same command goes on from here",
            file=sys.stderr,
        )
        return 130
    except (ValueError, OSError) as e:
        print(f"mlip-relax: {e}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _relax(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from mlip_engines.model.load import load_model
    from mlip_engines.readers import check_units, iterate_structures
    from mlip_engines.relaxation.folder import RelaxationFolder
    from mlip_engines.relaxation.report import NC_WARNING, NO_SPGLIB, report_page, words
    from mlip_engines.relaxation.run import relax_each
    from mlip_engines.relaxation.settings import Settings
    from mlip_engines.relaxation.space_group import can_find_space_groups
    from mlip_engines.relaxation.table import results_table

    settings = Settings(
        optimiser=options.optimiser,
        fmax=options.fmax,
        steps=options.steps,
        cell=options.cell,
        forces=FORCES[options.forces],
        max_edges=options.edges,
        keep_path=options.paths,
    )
    model = load_model(options.model, options.device)
    settings.check(model)
    warnings = [NC_WARNING] * (options.forces == "nc")
    for warning in warnings:
        print(f"mlip-relax: warning: {warning}", file=sys.stderr)
    structures = []
    for path in options.structures:
        check_units(options.units, path)
        units = options.units or "metal"
        structures += iterate_structures(path, units=units, labels=False, progress=True)
    folder = RelaxationFolder(options.output)
    folder.claim(model, structures, settings)
    done = folder.finished(structures)
    under_way = None if options.paths else folder.under_way()
    first = set() if under_way is None else set(under_way.index.tolist())
    order = sorted(range(len(structures)), key=lambda k: k not in first)  # stable
    waiting = [(k, structures[k]) for k in order if k not in done]
    save = None if options.paths else folder.save
    with tqdm(
        total=len(structures), initial=len(done), unit="structure", mininterval=1.0, smoothing=0.05
    ) as bar:
        for relaxed in relax_each(model, waiting, settings, under_way=under_way, save=save):
            folder.append(relaxed)
            relaxed.path = []
            done[relaxed.index] = relaxed
            bar.update()
    finished = [done[k] for k in sorted(done)]
    if not can_find_space_groups() and any(atoms.pbc.all() for atoms in structures):
        warnings.append(NO_SPGLIB)
    rows = results_table(structures, finished)
    folder.write_results(finished, rows)
    described = json.loads((options.output / "relaxation.json").read_text())
    (options.output / "report.html").write_text(report_page(rows, described, warnings))
    print("\n".join(words(rows)))
    print(options.output / "report.html")
    return 0


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-relax``."""
    parser = command_parser(
        "mlip-relax",
        description="Relax molecules and crystals, thousands of them if you like: structures are evaluated together, "
        "and each has an optimiser of its own. A run that was killed goes on when the same command is given again.",
        example="mlip-relax water molecules.extxyz -o relaxed\n"
        "mlip-relax copper crystals.extxyz --cell --fmax 0.002 -o relaxed_crystals",
    )
    add_model(parser)
    parser.add_argument(
        "structures",
        metavar="STRUCTURES",
        nargs="+",
        type=Path,
        help=f"structures to relax: {format_titles()}",
    )
    add_units(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        required=True,
        type=Path,
        help="folder for the structures, the table and the report",
    )
    parser.add_argument(
        "--cell",
        action="store_true",
        help="relax the cells of crystals as well; a structure that is not periodic in three directions keeps its cell",
    )
    parser.add_argument(
        "--optimiser",
        choices=["lbfgs", "bfgs", "fire"],
        default="lbfgs",
        help="lbfgs needs few steps, bfgs fewer for small structures (it is refused beyond 500 atoms), fire is more "
        "robust (default: %(default)s)",
    )
    parser.add_argument(
        "--fmax",
        metavar="F",
        type=float,
        default=0.01,
        help="relaxed is a structure in which no force is larger, in eV/Å; with --cell also the virial per atom, in eV "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--steps",
        metavar="N",
        type=int,
        default=500,
        help="give a structure up after N steps (default: %(default)s)",
    )
    add_forces(parser)
    parser.add_argument(
        "--paths",
        action="store_true",
        help="keep every step of each structure, in the folder paths",
    )
    add_edges(parser, 20_000)
    add_device(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
