"""What the command lines of this package have in common: ``--version``, and a help that ends with an example."""

from __future__ import annotations

import argparse
import importlib.metadata
import textwrap


def command_parser(program: str, *, description: str, example: str) -> argparse.ArgumentParser:
    """Return the parser of a command, to which its arguments are still to be added.

    Parameters
    ----------
    program : str
        Name of the command.
    description : str
        What the command does, in a sentence or two.
    example : str
        One call a line, each beginning with the name of the command. They are shown at the end of the help, and a
        test parses each of them with the parser.

    Returns
    -------
    argparse.ArgumentParser
        It understands ``--help`` and ``--version`` already. Neither imports torch, so both answer at once.
    """
    parser = argparse.ArgumentParser(
        prog=program,
        description="\n".join(textwrap.wrap(description, 79)),
        epilog="example:\n" + textwrap.indent(textwrap.dedent(example).strip(), "  "),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"{program} {_version('mlip-engines')} (mlip-engines), torch {_version('torch')}",
        help="show the versions of this package and of torch, and exit",
    )
    return parser


def add_units(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--units``, of the one format of structures that does not state them."""
    parser.add_argument(
        "--units",
        choices=["metal", "atomic"],
        help="units of an input.data file, which does not state its own: metal is Å and eV (default), atomic is bohr "
        "and "
        "hartree",
    )


class Once(argparse.Action):
    """Store the value of an option, and refuse the option when it is given again."""

    def __call__(self, parser, namespace, values, option_string=None):  # noqa: D102
        before = getattr(namespace, self.dest)
        if before is not None:
            raise argparse.ArgumentError(
                self,
                f"expected it once, got it twice, with {before} and {values}; give one of them",
            )
        setattr(namespace, self.dest, values)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
