"""What the command lines of this package have in common: ``--version``, and a help that ends with an example."""

from __future__ import annotations

import argparse
import importlib.metadata
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlip_engines.readers.keys import LabelKeys


FORCES = {"c": "conservative", "nc": "non_conservative"}  # as --forces and as functions name them


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


def add_model(parser: argparse.ArgumentParser, such_as: str = "water") -> None:
    """Add the argument ``MODEL``."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help=f"a model file, or the name of a shipped model such as {such_as}. A model file is a program: use only "
        "files you trust",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--device``."""
    parser.add_argument(
        "--device", default="cpu", help="device of torch on which models run (default: cpu)"
    )


def add_forces(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add the option ``--forces``: a key of ``FORCES``, or if there may be several, a list of them."""
    how = {"nargs": "+", "default": ["c"]} if several else {"default": "c"}
    parser.add_argument(
        "--forces",
        choices=list(FORCES),
        help="conservative (default) or non-conservative forces"
        + (", or both side by side" if several else ""),
        **how,
    )


def add_edges(parser: argparse.ArgumentParser, default: int) -> None:
    """Add the option ``--edges``, which bounds what is evaluated together."""
    parser.add_argument(
        "--edges",
        metavar="N",
        type=int,
        default=default,
        help="evaluate at most so many edges, pairs within the cutoff, together; more need more memory and suit a GPU "
        "(default: %(default)s)",
    )


def add_units(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--units``, of the one format of structures that does not state them."""
    parser.add_argument(
        "--units",
        choices=["metal", "atomic"],
        help="units of an input.data file, which does not state its own: metal is Å and eV (default), atomic is bohr "
        "and "
        "hartree",
    )


def add_label_keys(parser: argparse.ArgumentParser) -> None:
    """Add the options that name labels, and the one for the unit of stress."""
    for label, unit in (("energy", "eV"), ("forces", "eV/Å"), ("stress", "--stress-units")):
        parser.add_argument(
            f"--{label}-key",
            metavar="NAME",
            action=Once,
            help=f"name of the {label} ({unit}) in extended XYZ or a database, such as REF_{label} (default: {label})",
        )
    parser.add_argument(
        "--stress-units",
        metavar="UNIT",
        choices=["eV/A^3", "GPa", "kbar", "-eV/A^3", "-GPa", "-kbar", "virial"],
        default="eV/A^3",
        help="unit of the stress: %(choices)s. Write --stress-units=-kbar, with a minus, for the sign of a pressure, "
        "as VASP has it; virial is minus the volume times the stress, in eV (default: %(default)s)",
    )


def label_keys(options: argparse.Namespace) -> LabelKeys:
    """Return what the options of :func:`add_label_keys` say."""
    from mlip_engines.readers.keys import LabelKeys

    return LabelKeys(
        options.energy_key, options.forces_key, options.stress_key, options.stress_units
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
