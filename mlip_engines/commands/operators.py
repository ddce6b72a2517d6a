"""``mlip-operators``: compile the operators that make models fast on a CPU. It needs no LAMMPS."""

from __future__ import annotations

import argparse
import sys

from mlip_engines.commands.builds import add_clean, clean, print_now
from mlip_engines.commands.parser import command_parser
from mlip_engines.compiled import operators
from mlip_engines.compiled.target import BuildError


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-operators``."""
    parser = command_parser(
        "mlip-operators",
        description="Compile the operators that model files call, for the installed torch. Without them models run "
        "on a CPU as well, with the same results, but several times slower. LAMMPS is not needed.",
        example="mlip-operators build\nmlip-operators info",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="compile them, unless that is done already")
    build.add_argument("--force", action="store_true", help="compile them even if they are there")
    commands.add_parser("info", help="show which library is needed, and which exist")
    add_clean(commands)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-operators``; returns the exit status."""
    options = argument_parser().parse_args(arguments)
    try:
        if options.command == "build":
            operators.build_operators(force=options.force, report=print_now)
        elif options.command == "info":
            print("\n".join(operators.describe_operators()))
        else:
            return clean("mlip-operators", operators.operators_target(), options)
    except BuildError as error:
        sys.stderr.write(f"mlip-operators: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
