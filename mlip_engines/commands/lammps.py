"""``mlip-lammps``: compile the LAMMPS plugin, and show which there are."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mlip_engines.commands.builds import add_clean, clean, print_now
from mlip_engines.commands.parser import command_parser
from mlip_engines.compiled.target import BuildError
from mlip_engines.lammps.build import build_plugin, describe_plugin
from mlip_engines.lammps.plugin import plugin_target


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-lammps``."""
    parser = command_parser(
        "mlip-lammps",
        description="Compile pair_style mlip for the installed LAMMPS, or for one of your own, with the operators that "
        "model files call.",
        example="mlip-lammps build\nmlip-lammps info\nmlip-lammps build --lammps-source lammps --lmp lammps/build/lmp",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="compile it, unless that is done already")
    build.add_argument("--force", action="store_true", help="compile it even if it is up to date")
    build.add_argument(
        "--lammps-source",
        type=Path,
        metavar="DIR",
        help="compile it for a LAMMPS of your own: its source tree, or where it was installed",
    )
    build.add_argument(
        "--lmp",
        metavar="FILE",
        help="with --lammps-source: its executable, to ask for version, integers and MPI, and to try it with",
    )
    build.add_argument(
        "--define",
        "-D",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the plugin's CMakeLists.txt, e.g. MPI_INCLUDE_DIR=...",
    )
    commands.add_parser("info", help="show which plugin is needed, and which exist")
    add_clean(commands)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-lammps``; returns the exit status."""
    parser = argument_parser()
    options = parser.parse_args(arguments)
    if options.command == "build" and options.lmp and not options.lammps_source:
        parser.error("--lmp belongs to a LAMMPS of your own: give --lammps-source too")
    try:
        if options.command == "build":
            folder = build_plugin(
                force=options.force,
                lammps_source=options.lammps_source,
                definitions=options.define,
                lmp=options.lmp,
                report=print_now,
            )
            if options.lammps_source:
                print(f"export LAMMPS_PLUGIN_PATH={folder}")
        elif options.command == "info":
            print("\n".join(describe_plugin()))
        else:
            return clean("mlip-lammps", plugin_target(), options)
    except BuildError as error:
        sys.stderr.write(f"mlip-lammps: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
