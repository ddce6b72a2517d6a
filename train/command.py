"""The command ``mlip-train``: argument parsing only."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from mlip_engines.commands.overwriting import refuse_to_overwrite
from mlip_engines.commands.parser import Once, add_label_keys, add_units, command_parser, label_keys
from mlip_engines.readers.registry import format_titles


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-train RECIPE --data FILE -o DIR``; the options are in its help.

    Returns
    -------
    int
        0, or 1 after a message about what was expected and what was got.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["init"]:
        from mlip_train.inspection.beginning import main as begin

        return begin(arguments[1:])
    parser = argument_parser()
    options = parser.parse_args(arguments)
    if not options.check and (options.recipe is None or options.output is None):
        parser.error("expected RECIPE and -o FOLDER, or --check DATA, or init --data FILE")
    try:
        import matplotlib  # noqa: F401
        import yaml  # noqa: F401
    except ImportError as e:
        print(
            f"mlip-train: training needs {e.name}; run: pip install 'mlip-engines[train]'",
            file=sys.stderr,
        )
        return 1
    if options.check:
        return _check(options)
    from mlip_train.data.given import given_references
    from mlip_train.data.sets import DataFiles
    from mlip_train.loop.budget import within
    from mlip_train.loop.run import train
    from mlip_train.machine.settings import Machine
    from mlip_train.recipe import read_recipe
    from mlip_train.robust.chain import read_chain, run_chain

    try:
        if options.workers < 0:
            raise ValueError(f"--workers must not be negative, got {options.workers}")
        machine = Machine(options.device, options.workers, options.lazy)
        files = DataFiles(
            *(tuple(paths) for paths in (options.data, options.train, options.valid, options.test)),
            units=options.units,
            keys=label_keys(options),
        )
        chain = read_chain(options.recipe)
        if chain is not None:
            if options.minutes is not None:
                chain = chain.within(options.minutes)
            flags = {"from": "start", "unlabelled": "unlabelled", "empirical": "empirical"}
            flags["reference-energies"] = "reference_energies"
            for flag, name in flags.items():
                if getattr(options, name) is not None:
                    raise ValueError(
                        f"{options.recipe} is a chain of several runs; leave --{flag} out"
                    )
            run_chain(chain, files, options.output, resume=options.resume, machine=machine)
            return 0
        recipe = read_recipe(options.recipe)
        if options.minutes is not None:
            recipe = within(recipe, options.minutes)
        if options.reference_energies is not None:
            energies = given_references(options.reference_energies)
            recipe = replace(recipe, reference_energies=energies)
        train(
            recipe,
            files,
            options.output,
            start=options.start,
            unlabelled=options.unlabelled,
            empirical=options.empirical,
            resume=options.resume,
            machine=machine,
        )
    except (ValueError, FileNotFoundError, FileExistsError, FloatingPointError) as e:
        print(f"mlip-train: {e}", file=sys.stderr)
        return 1
    return 0


def _check(options: argparse.Namespace) -> int:
    """Write the page about a set of structures and print its summary."""
    from mlip_train.data.sets import DataFiles
    from mlip_train.inspection.opening import open_data
    from mlip_train.inspection.page import data_page, summary
    from mlip_train.inspection.survey import survey

    try:
        if options.recipe is not None:
            raise ValueError(f"--check looks at data alone, got a recipe as well, {options.recipe}")
        if options.minutes is not None:
            raise ValueError("--check looks at data alone; --minutes is for a training")
        files = DataFiles(tuple(options.check), units=options.units, keys=label_keys(options))
        output = options.output or Path(f"{options.check[0].name.partition('.')[0]}-data.html")
        if output.is_dir():
            raise ValueError(f"-o: expected the file of a page, got the folder {output}")
        refuse_to_overwrite(output, options.check)
        structures, warnings, place = open_data(files)
        found = survey(structures)
        starts = [k for k in range(len(structures)) if place(k)[1] == 0]
        ends = [*starts[1:], len(structures)]
        counts = [(place(s)[0], end - s) for s, end in zip(starts, ends, strict=True)]
        output.write_text(data_page(found, counts, warnings, place), encoding="utf-8")
    except (ValueError, OSError) as e:
        print(f"mlip-train: {e}", file=sys.stderr)
        return 1
    for warning in warnings:
        print(f"mlip-train: warning: {warning}", file=sys.stderr)
    print(summary(found, counts))
    print(f"the page about these data is {output}")
    return 0


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-train``."""
    parser = command_parser(
        "mlip-train",
        description="Train a network on structures with energies and forces. The gradient of its energy gives "
        "conservative "
        "forces; if the network has a head for them, it also predicts non-conservative forces. A run writes its "
        "checkpoint, its errors and a report into a folder. mlip-export turns the checkpoint into a model file. "
        "'mlip-train init --data FILE' writes a recipe that fits your data; its own help is 'mlip-train init --help'.",
        example="mlip-train --check water.extxyz -o data.html\n"
        "mlip-train water --data water.extxyz -o run\nmlip-train water --data water.extxyz -o run --resume",
    )
    parser.add_argument(
        "--check",
        metavar="DATA",
        nargs="+",
        type=Path,
        help="look at structures and labels alone, in seconds: what is there, what stands out and what may be wrong, "
        "as a page (-o FILE.html) and in short on the terminal; one or more files or folders",
    )
    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        nargs="?",
        help="YAML file with the settings of the run, or the name of a recipe that comes with the package, such as "
        "water",
    )
    for name, purpose in (
        (
            "data",
            f"structures with energies and forces, to be divided at random: {format_titles()}",
        ),
        ("train", "structures to train on, whatever the recipe says of the split"),
        ("valid", "structures for validation, in place of those drawn at random"),
        ("test", "structures for the test, in place of those drawn at random"),
    ):
        parser.add_argument(
            f"--{name}",
            metavar="FILE",
            action="extend",
            nargs="+",
            type=Path,
            default=[],
            help=f"{purpose}; one or more files or folders",
        )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        action=Once,
        type=Path,
        help="folder for everything that the run writes",
    )
    parser.add_argument(
        "--from",
        dest="start",
        metavar="CHECKPOINT",
        action=Once,
        help="start with the weights of another run: its checkpoint.pt, or a model file exported from it; the data may "
        "have further elements. A model file "
        "is a program: use only files you trust",
    )
    parser.add_argument(
        "--unlabelled",
        metavar="FILE",
        action=Once,
        help="structures without labels, on which the two kinds of forces are matched to each other; same formats as "
        "--data",
    )
    parser.add_argument(
        "--empirical",
        metavar="CHECKPOINT",
        action=Once,
        help="checkpoint of an empirical potential (mlip-train eam), with which that of a network with empirical: true "
        "begins",
    )
    add_units(parser)
    add_label_keys(parser)
    parser.add_argument(
        "--reference-energies",
        metavar="ENERGIES",
        action=Once,
        help="reference energies in eV, such as H=-13.6,O=-430.2, a YAML or JSON file of them, isolated_atoms for "
        "those of the structures with config_type=IsolatedAtom, or fit; in place of the setting of the recipe",
    )
    parser.add_argument(
        "--minutes",
        metavar="M",
        action=Once,
        type=float,
        help="end the training within M minutes: stages share them by their epochs, or by their budget_minutes if all "
        "have some, and the cycle of the learning rate is shortened to end with each. Validations come on top. "
        "Give it again with --resume",
    )
    parser.add_argument("--resume", action="store_true", help="continue the run in the folder")
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="where to train; auto means a GPU if there is one, otherwise the CPU (default: %(default)s)",
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        type=int,
        default=0,
        help="extra processes that make neighbour lists; 0 makes them in the main process (default: %(default)s)",
    )
    parser.add_argument(
        "--lazy",
        action="store_true",
        help="for data sets larger than the memory: keep structures on disk, in the folder of the run, and make "
        "neighbour "
        "lists when they are needed",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
