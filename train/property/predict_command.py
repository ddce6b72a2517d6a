"""The command ``mlip-predict``: argument parsing only."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from mlip_engines.commands.overwriting import refuse_to_overwrite
from mlip_engines.commands.parser import Once, command_parser
from mlip_engines.readers.registry import format_titles


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-predict CHECKPOINT STRUCTURES -o TABLE``; the options are in its help.

    Returns
    -------
    int
        0, or 1 after a message about what was expected and what was got. Structures that cannot be evaluated have an
        empty row and the reason in it.
    """
    options = argument_parser().parse_args(arguments)
    from mlip_engines.readers import read_structures
    from mlip_train.property.predictor import open_predictor

    try:
        refuse_to_overwrite(options.output, (options.checkpoint, options.structures))
        predictor = open_predictor(options.checkpoint)
        targets = predictor.targets
        structures = read_structures(options.structures, labels=False)
        values, reasons = predictor.predict(structures, options.batch_size)
        with options.output.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["index", "formula", *targets, "reason"])
            for k, atoms in enumerate(structures):
                numbers = [""] * len(targets) if k in reasons else map(repr, values[k].tolist())
                table.writerow([k, atoms.get_chemical_formula(), *numbers, reasons.get(k, "")])
    except (ValueError, OSError) as e:
        print(f"mlip-predict: {e}", file=sys.stderr)
        return 1
    print(f"{options.output}: {len(structures) - len(reasons)} of {len(structures)} structures")
    return 0


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-predict``."""
    parser = command_parser(
        "mlip-predict",
        description="Predict properties of structures with a network that mlip-property has trained, and write them "
        "as a table.",
        example="mlip-predict gap/checkpoint.pt relaxed.extxyz -o gaps.csv",
    )
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="checkpoint.pt of mlip-property, or a model file with properties. A model file is a program: use only "
        "files you trust",
    )
    parser.add_argument(
        "structures", metavar="STRUCTURES", type=Path, help=f"structures: {format_titles()}"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", action=Once, required=True, type=Path, help="CSV to write"
    )
    parser.add_argument(
        "--batch-size", type=int, default=32, help="structures at once (default: %(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
