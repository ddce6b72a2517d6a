"""The command ``mlip-train``: argument parsing only."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mlip_engines.commands.parser import STRUCTURE_FORMATS, add_units, command_parser


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-train RECIPE --data FILE -o DIR``; the options are in its help.

    Returns
    -------
    int
        0, or 1 after a message about what was expected and what was got.
    """
    options = argument_parser().parse_args(arguments)
    from mlip_train.loop.run import train
    from mlip_train.machine.settings import Machine
    from mlip_train.recipe import read_recipe

    try:
        if options.workers < 0:
            raise ValueError(f"--workers must not be negative, got {options.workers}")
        train(
            read_recipe(options.recipe),
            options.data,
            options.output,
            start=options.start,
            unlabelled=options.unlabelled,
            units=options.units,
            resume=options.resume,
            machine=Machine(options.device, options.workers, options.lazy),
        )
    except (ValueError, FileNotFoundError, FileExistsError, FloatingPointError) as e:
        print(f"mlip-train: {e}", file=sys.stderr)
        return 1
    return 0


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-train``."""
    parser = command_parser(
        "mlip-train",
        description="Train a network that predicts an energy, whose gradient gives the conservative forces, and, where "
        "it has a head for them, non-conservative forces. A run writes its checkpoint, its errors and a report into a "
        "folder; mlip-export turns the checkpoint into a model file.",
        example="mlip-train water --data water.extxyz -o run",
    )
    parser.add_argument("recipe", help="YAML file, or the name of one that comes with the package")
    parser.add_argument(
        "--data",
        required=True,
        help=f"structures with energies and forces: {STRUCTURE_FORMATS}",
    )
    parser.add_argument("-o", "--output", required=True, type=Path, help="folder of the run")
    parser.add_argument(
        "--from",
        dest="start",
        help="checkpoint.pt of another run, or a model exported from one (a program: only what you trust), "
        "to begin with its weights",
    )
    parser.add_argument(
        "--unlabelled", help="structures without labels, for the match of the heads; same formats"
    )
    add_units(parser)
    parser.add_argument("--resume", action="store_true", help="continue the run in this folder")
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="where to train; auto is cuda if there is one (default: %(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        help="processes that make neighbour lists (default: %(default)s)",
    )
    parser.add_argument(
        "--lazy",
        action="store_true",
        help="keep structures on disk, in the folder of the run, and make neighbour lists when they are needed: for "
        "sets that are larger than the memory",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
