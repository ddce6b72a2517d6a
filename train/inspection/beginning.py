"""The command ``mlip-train init``: argument parsing only."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from mlip_engines.commands.parser import (
    add_label_keys,
    add_units,
    command_parser,
    label_keys,
)
from mlip_engines.readers.registry import format_titles


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-train init --data FILE``; the options are in its help.

    Returns
    -------
    int
        0, or 1 after a message about what was expected and what was got.
    """
    options = argument_parser().parse_args(arguments)
    from mlip_train.data.sets import DataFiles
    from mlip_train.inspection.opening import open_data
    from mlip_train.inspection.proposal import propose, recipe_text
    from mlip_train.inspection.survey import survey
    from mlip_train.recipe import read_recipe

    try:
        if options.output.exists():
            raise FileExistsError(f"{options.output} exists; choose another with -o, or remove it")
        files = DataFiles(tuple(options.data), units=options.units, keys=label_keys(options))
        structures, warnings, _ = open_data(files)
        for warning in warnings:
            print(f"mlip-train: warning: {warning}", file=sys.stderr)
        name = re.sub(r"\W+", "_", options.output.stem).strip("_") or "model"
        chosen = propose(survey(structures), name)
        text = recipe_text(chosen, " ".join(str(path) for path in options.data))
        options.output.write_text(text, encoding="utf-8")
        read_recipe(options.output)
    except (ValueError, OSError) as e:
        print(f"mlip-train: {e}", file=sys.stderr)
        return 1
    print(f"{options.output}: a recipe for {len(structures)} structures; read it, then")
    data = " ".join(str(path) for path in options.data)
    print(f"    mlip-train {options.output} --data {data} -o run")
    return 0


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-train init``."""
    parser = command_parser(
        "mlip-train init",
        description="Write a recipe that fits a set of structures: cutoff, size of the network, batches, split and "
        "weights are chosen from the data, with the reasons beside them.",
        example="mlip-train init --data frames.xyz -o recipe.yaml",
    )
    parser.add_argument(
        "--data",
        metavar="FILE",
        action="extend",
        nargs="+",
        type=Path,
        required=True,
        help=f"structures with energies and forces: {format_titles()}; one or more files or folders",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="RECIPE",
        type=Path,
        default=Path("recipe.yaml"),
        help="file to write (default: %(default)s)",
    )
    add_units(parser)
    add_label_keys(parser)
    return parser
