"""The command ``mlip-property``: argument parsing only."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mlip_engines.commands.parser import Once, command_parser
from mlip_engines.readers.registry import format_titles

PAPER = 0.1  # best noise in Å, and best weight: tables 11 and 12 of the paper in conformers.py


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-property --data FILE --target NAME -o DIR``; the options are in its help.

    Returns
    -------
    int
        0, or 1 after a message about what was expected and what was got.
    """
    options = argument_parser().parse_args(arguments)
    from mlip_engines.readers import read_structures
    from mlip_train.data.sets import DataFiles
    from mlip_train.loop.start import read_start
    from mlip_train.property.checkpoint import property_start
    from mlip_train.property.potential import potential_record
    from mlip_train.property.settings import Settings
    from mlip_train.property.training import train_property
    from mlip_train.recipe import read_recipe

    try:
        settings = Settings(
            targets=tuple(options.target),
            pooling=options.pooling,
            trained=options.trained,
            epochs=options.epochs,
            learning_rate=options.learning_rate,
            batch_size=options.batch_size,
            schedule=options.schedule,
            patience=5 if options.patience is None else options.patience,
            n_validation=options.n_validation,
            n_test=options.n_test,
            n_train=options.n_train,
            split_key=options.split_key,
            seed=options.seed,
            noise=_given(options.noise, options.conformers),
            align=_given(options.align, options.conformers),
        )
        if options.patience is not None and options.schedule != "plateau":
            raise ValueError(
                "--patience belongs to --schedule plateau; the learning rate falls along a cosine without that"
            )
        if (options.start is None) == (options.recipe is None):
            raise ValueError(
                "expected one of --from, a potential to start with, and --recipe, whose network begins with random "
                "weights"
            )
        if options.start is None and settings.trained == "head":
            raise ValueError("a head alone needs a trained network; name one with --from")
        if options.unit and len(options.unit) != len(options.target):
            raise ValueError(
                f"--unit: expected one for each of the targets {options.target}, got {options.unit}"
            )
        weights = potential = None
        before = None if options.start is None else property_start(options.start)
        if before is not None:
            for name, mine in (("targets", list(settings.targets)), ("pooling", settings.pooling)):
                if before["build"][name] != mine:
                    raise ValueError(
                        f"{options.start}: expected the {name} {mine}, as of this run, got {before['build'][name]}"
                    )
            if options.scratch:
                raise ValueError("--scratch goes with a potential, got a run of mlip-property")
            network, potential = before["build"]["network"], before.get("potential")
        elif options.start is not None:
            start = read_start(options.start)
            network, weights = start.network, None if options.scratch else start.weights
            potential = potential_record(options.start, start)
        else:
            network = read_recipe(options.recipe).network
        files = DataFiles(
            *(tuple(paths) for paths in (options.data, options.train, options.valid, options.test))
        )
        files.check()
        sets = [read_structures(path) for path in files.paths()]
        conformers = None
        if options.conformers:
            conformers = [
                a for path in options.conformers for a in read_structures(path, labels=False)
            ]
        errors = train_property(
            settings,
            files,
            sets,
            network,
            options.output,
            weights=weights,
            potential=potential,
            units=options.unit or (before or {"build": {}})["build"].get("units", []),
            conformers=conformers,
            molecule_key=options.molecule_key,
            start=None if before is None else before["best"],
            resume=options.resume,
        )
    except (ValueError, FileNotFoundError, FileExistsError, FloatingPointError) as e:
        print(f"mlip-property: {e}", file=sys.stderr)
        return 1
    for part, by_target in errors.items():
        for name, e in by_target.items():
            print(
                f"{part}: {name}: MAE {e['mae']:.5g}, RMSE {e['rmse']:.5g}, of {e['n']} structures"
            )
    return 0


def _given(value: float | None, conformers: list[Path]) -> float:
    """Return the value of an option; by default what the paper takes with conformers, and nothing without."""
    return value if value is not None else PAPER if conformers else 0.0


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-property``."""
    parser = command_parser(
        "mlip-property",
        description="Train a network to predict properties of whole structures, such as a HOMO-LUMO gap, from the "
        "features of atoms that a potential has learned. mlip-predict applies the result.",
        example="mlip-property --data relaxed.extxyz --target gap --from run/checkpoint.pt -o gap\n"
        "mlip-property --data relaxed.extxyz --target gap dipole_moment --recipe water -o scratch",
    )
    for name, purpose in (
        ("data", f"structures with the targets in their comment lines: {format_titles()}"),
        ("train", "structures to train on"),
        ("valid", "structures for validation"),
        ("test", "structures for the test"),
    ):
        parser.add_argument(
            f"--{name}",
            metavar="FILE",
            action="extend",
            nargs="+",
            type=Path,
            default=[],
            help=f"{purpose}; one or more files",
        )
    parser.add_argument(
        "--target",
        metavar="NAME",
        nargs="+",
        required=True,
        help="what to learn: names of numbers in the comment lines; a structure that lacks one does without it",
    )
    parser.add_argument(
        "--unit",
        metavar="UNIT",
        nargs="+",
        default=[],
        help="units of the targets in their order, such as eV, for the metadata of a model file",
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", action=Once, required=True, type=Path)
    parser.add_argument(
        "--from",
        dest="start",
        metavar="POTENTIAL",
        action=Once,
        help="a checkpoint.pt of mlip-train or a model file, whose network and weights the run begins with; or one of "
        "mlip-property, to go on with other geometries. A model file is a program: use only files you trust",
    )
    parser.add_argument(
        "--recipe",
        metavar="RECIPE",
        action=Once,
        help="take the network of a recipe of mlip-train, with random weights",
    )
    parser.add_argument(
        "--scratch",
        action="store_true",
        help="with --from: the same network, but random weights, to compare with",
    )
    parser.add_argument(
        "--trained",
        choices=["all", "head"],
        default="all",
        help="train the whole network, or the new head alone (default: %(default)s)",
    )
    parser.add_argument(
        "--pooling",
        choices=["sum", "mean", "attention"],
        default="attention",
        help="from atoms to a structure: sum for what grows with size, attention for what a part decides "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--conformers",
        metavar="FILE",
        nargs="+",
        action="extend",
        type=Path,
        default=[],
        help="other geometries of the same molecules, such as frames of relaxations: half of what is trained on. "
        "Validation and test see the last one of each molecule",
    )
    parser.add_argument(
        "--molecule-key",
        metavar="NAME",
        default="molecule",
        help="name under which structures and conformers say which molecule they are (default: %(default)s)",
    )
    parser.add_argument(
        "--noise",
        metavar="SIGMA",
        type=float,
        help="add so much to each coordinate of the geometries that are trained on, Å (default: 0.1 with --conformers, "
        "else 0)",
    )
    parser.add_argument(
        "--align",
        metavar="WEIGHT",
        type=float,
        help="learn the way back to the true geometries as well, with this weight (default: 0.1 with --conformers, "
        "else 0)",
    )
    parser.add_argument("--epochs", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="default: %(default)s")
    parser.add_argument(
        "--batch-size", type=int, default=32, help="structures (default: %(default)s)"
    )
    parser.add_argument(
        "--schedule",
        choices=["cosine", "plateau"],
        default="cosine",
        help="lower the learning rate along a cosine over the epochs, or halve it where the validation gets no better "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--patience",
        type=int,
        help="with --schedule plateau: epochs without a better validation until the learning rate is halved (default: "
        "5)",
    )
    parser.add_argument("--n-validation", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--n-test", type=int, default=100, help="default: %(default)s")
    parser.add_argument(
        "--n-train", type=int, default=0, help="train on so many only, for learning curves"
    )
    parser.add_argument(
        "--split-key",
        metavar="NAME",
        default="split",
        help="name under which structures say train, valid or test (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--resume", action="store_true", help="continue the run in the folder")
    return parser


if __name__ == "__main__":
    sys.exit(main())
