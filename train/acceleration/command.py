"""The command ``mlip-accelerate``: argument parsing only."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mlip_engines.commands.parser import Once, add_model, add_units, command_parser
from mlip_engines.readers.registry import format_titles

INTERRUPTED = 130  # what shells say of a command that Ctrl-C has ended


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-accelerate MODEL --structures FILE -o DIR``; the options are in its help.

    Returns
    -------
    int
        0, 1 after a message about what was expected and what was got, or 130 if it was interrupted.
    """
    options = argument_parser().parse_args(arguments)
    try:
        import matplotlib  # noqa: F401
        import yaml  # noqa: F401
    except ImportError as e:
        print(
            f"mlip-accelerate: training needs {e.name}; run: pip install 'mlip-engines[train]'",
            file=sys.stderr,
        )
        return 1
    from mlip_engines.labels.reading import read_checked
    from mlip_engines.model.load import load_model
    from mlip_engines.simulations.engine import EngineError
    from mlip_engines.simulations.pace import Limits
    from mlip_train.acceleration.report import warnings_of, words
    from mlip_train.acceleration.request import Request
    from mlip_train.acceleration.run import accelerate

    try:
        structures = [
            atoms
            for path in options.structures
            for atoms in read_checked(path, units=options.units, labels=False)[0]
        ]
        request = Request(
            load_model(options.model),
            structures,
            tuple(options.temperature),
            options.minutes,
            Limits(options.drift, options.fluctuation),
            options.step or 0.0,
            options.seed,
            tuple(options.pressure),
            load_model(options.inner) if options.inner else None,
        )
        summary = accelerate(request, options.output, lambda line: print(line, flush=True))
    except (ValueError, OSError, EngineError, FloatingPointError) as e:
        print(f"mlip-accelerate: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("mlip-accelerate: stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    for warning in warnings_of(summary):
        print(f"mlip-accelerate: warning: {warning}", file=sys.stderr)
    print("\n".join(words(summary)))
    print(f"{summary.model_file(options.output)}; read {options.output / 'report.html'}")
    return 0


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-accelerate``."""
    parser = command_parser(
        "mlip-accelerate",
        description="Make a model faster under r-RESPA: sample its dynamics, teach a small network its forces, and "
        "measure how many inner steps that carries. The model file that comes out has the energy of the model and the "
        "small network as its inner force. The same command goes on where it was stopped.",
        example="mlip-accelerate copper --structures copper.extxyz --temperature 300 600 --minutes 60 -o fast",
    )
    add_model(parser)
    parser.add_argument(
        "--structures",
        metavar="FILE",
        nargs="+",
        required=True,
        type=Path,
        help=f"where simulations start: {format_titles()}. Speed and drift are measured on the first structure",
    )
    add_units(parser)
    parser.add_argument(
        "--temperature",
        metavar="T",
        nargs="+",
        type=float,
        default=[300.0],
        help="temperatures to sample, in K; drift is measured at the highest (default: 300)",
    )
    parser.add_argument(
        "--pressure",
        metavar="P",
        nargs="+",
        type=float,
        default=[],
        help="pressures to sample at each temperature, in bar, with a barostat (default: the volumes that are given)",
    )
    parser.add_argument(
        "--inner",
        metavar="MODEL",
        action=Once,
        help="begin with the inner force of this model, a model file or the name of a shipped one, and train that on; "
        "it need not learn again what it knows of the same elements (default: a new network)",
    )
    parser.add_argument(
        "--minutes",
        metavar="N",
        type=float,
        default=60.0,
        help="time for everything; no round begins after it (default: %(default)g)",
    )
    parser.add_argument(
        "--drift",
        metavar="D",
        type=float,
        default=0.1,
        help="largest drift of the energy, in meV/atom/ps (default: %(default)g)",
    )
    parser.add_argument(
        "--fluctuation",
        metavar="F",
        type=float,
        default=0.1,
        help="largest standard deviation of the total energy, in meV/atom (default: %(default)g)",
    )
    parser.add_argument(
        "--step",
        metavar="H",
        type=float,
        action=Once,
        help="inner step to begin with, in fs (default: 0.5 with hydrogen, 1 with other light elements, else 2)",
    )
    parser.add_argument(
        "--seed", metavar="N", type=int, default=1, help="seed of everything (default: %(default)s)"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        action=Once,
        required=True,
        type=Path,
        help="folder for everything; a folder of the same command goes on",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
