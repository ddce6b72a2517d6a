"""The command ``mlip-label``: argument parsing only."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mlip_engines.commands.overwriting import refuse_to_overwrite
from mlip_engines.commands.parser import add_model, add_units, command_parser
from mlip_engines.readers.registry import format_titles


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-label MODEL STRUCTURES -o LABELLED``; the options are in its help.

    Returns
    -------
    int
        0, or 1 after a message about what was expected and what was got.
    """
    options = argument_parser().parse_args(arguments)
    from mlip_engines.labels.labelling import label, write_labelled
    from mlip_engines.labels.reading import read_checked
    from mlip_engines.model.load import load_model

    try:
        refuse_to_overwrite(options.output, (options.model, *options.structures))
        model = load_model(options.model)
        structures = [
            atoms
            for path in options.structures
            for atoms in read_checked(path, units=options.units, labels=False, progress=True)[0]
        ]
        labelled = label(
            model,
            structures,
            copies=options.copies,
            displacement=options.displacement,
            stiff=options.stiff,
            seed=options.seed,
        )
        count = len(structures) * (options.copies + 1)
        write_labelled(options.output, labelled, count)
    except (ValueError, OSError) as e:
        print(f"mlip-label: {e}", file=sys.stderr)
        return 1
    print(f"{options.output}: {count} structures with the labels of {model.metadata.name}")
    return 0


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-label``."""
    parser = command_parser(
        "mlip-label",
        description="Compute the energy and the conservative forces of structures with a model, and write them as "
        "labels on "
        "which another model can be trained.",
        example="mlip-label water structures.extxyz --copies 4 -o labelled.extxyz",
    )
    add_model(parser)
    parser.add_argument(
        "structures",
        metavar="STRUCTURES",
        nargs="+",
        type=Path,
        help=f"structures to label: {format_titles()}. Labels that they already have are dropped",
    )
    add_units(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        required=True,
        type=Path,
        help="extended XYZ file to write",
    )
    parser.add_argument(
        "--copies",
        metavar="N",
        type=int,
        default=0,
        help="also label N copies of each structure with displaced atoms (default: %(default)s)",
    )
    parser.add_argument(
        "--displacement",
        metavar="D",
        type=float,
        default=0.03,
        help="standard deviation of the displacement of each coordinate, in Å (default: %(default)s)",
    )
    parser.add_argument(
        "--stiff",
        action="store_true",
        help="displace every second copy along the stiff modes of the model, on which the outer step of r-RESPA "
        "depends; it costs no further evaluation",
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=int,
        default=1,
        help="seed of the random displacements (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
