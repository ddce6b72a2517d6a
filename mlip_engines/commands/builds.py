"""What ``mlip-lammps`` and ``mlip-operators`` have in common: progress, and the subcommand ``clean``."""

from __future__ import annotations

import argparse

from mlip_engines.compiled.target import Target, others
from mlip_engines.compiled.unused import remove_unused


def print_now(line: str) -> None:
    """Print a line of progress, also into a pipe."""
    print(line, flush=True)


def add_clean(commands: argparse._SubParsersAction) -> None:
    """Add the subcommand ``clean``."""
    clean = commands.add_parser(
        "clean",
        help="list the builds that are not for what is installed now, or remove them",
        description="Without arguments, list the unused builds and remove nothing. A build that this environment does "
        "not use may be one that another environment uses, or a LAMMPS of your own.",
    )
    clean.add_argument("name", nargs="*", help="remove this build; the name of its folder")
    clean.add_argument("--all", action="store_true", help="remove all that are listed")


def clean(program: str, target: Target, options: argparse.Namespace) -> int:
    """Run the subcommand ``clean``."""
    if options.name or options.all:
        for folder in remove_unused(target, None if options.all else options.name):
            print(f"removed  {folder}")
        return 0
    unused = others(target)
    for folder in unused:
        print(f"unused   {folder}")
    if unused:
        print(
            f"to remove one: {program} clean {unused[0].name}; all of them: {program} clean --all"
        )
    else:
        print("no unused builds")
    return 0
