"""The options of the commands that take one crystal, relax it and measure it."""

from __future__ import annotations

import argparse
from pathlib import Path

from mlip_engines.commands.parser import add_device, add_edges, add_model, add_units
from mlip_engines.readers.registry import format_titles


def add_crystal(parser: argparse.ArgumentParser) -> None:
    """Add ``MODEL``, ``STRUCTURE`` with ``--units``, and ``--output``, with which such a command begins."""
    add_model(parser, "copper")
    parser.add_argument(
        "structure",
        metavar="STRUCTURE",
        type=Path,
        help=f"a file with one crystal: {format_titles()}",
    )
    add_units(parser)
    parser.add_argument(
        "-o", "--output", metavar="FOLDER", required=True, type=Path, help="folder for the results"
    )


def add_crystal_relaxation(
    parser: argparse.ArgumentParser, *, edges: int, afterwards: str = ""
) -> None:
    """Add ``--no-relax``, ``--fmax``, ``--edges`` and ``--device``.

    Parameters
    ----------
    edges : int
        Default of ``--edges``.
    afterwards : str
        What is relaxed in spite of ``--no-relax``, for its help.
    """
    parser.add_argument(
        "--no-relax",
        dest="relax",
        action="store_false",
        help=f"take the crystal as it is{afterwards}",
    )
    parser.add_argument(
        "--fmax",
        metavar="F",
        type=float,
        default=1e-3,
        help="largest force, in eV/Å, at which the crystal counts as relaxed (default: %(default)s)",
    )
    add_edges(parser, edges)
    add_device(parser)
