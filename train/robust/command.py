"""The command ``mlip-perturb``: argument parsing only."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mlip_engines.commands.overwriting import refuse_to_overwrite
from mlip_engines.commands.parser import Once, add_units, command_parser
from mlip_engines.readers.registry import format_titles


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-perturb STRUCTURES -o FILE``; the options are in its help.

    Returns
    -------
    int
        0, or 1 after a message about what was expected and what was got.
    """
    options = argument_parser().parse_args(arguments)
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        print(
            "mlip-perturb: its page needs matplotlib; run: pip install 'mlip-engines[train]'",
            file=sys.stderr,
        )
        return 1
    from mlip_engines.labels.reading import read_checked
    from mlip_train.robust.distances import distance_table, write_distances
    from mlip_train.robust.perturbation import Perturbation
    from mlip_train.robust.stream import perturb

    try:
        report = options.output.with_suffix(".html")
        for path in (options.output, report):
            refuse_to_overwrite(path, [options.structures])
        settings = Perturbation(
            options.rounds,
            options.pairs,
            tuple(options.pull),
            options.sites,
            tuple(options.displacement),
            options.closest,
            options.seed,
        )
        structures = read_checked(
            options.structures, units=options.units, labels=False, progress=True
        )[0]
        before, after = perturb(structures, settings, options.output, workers=options.workers)
        write_distances(report, settings, before, after)
    except (ValueError, OSError) as e:
        print(f"mlip-perturb: {e}", file=sys.stderr)
        return 1
    header, rows = distance_table(before, after)
    for row in (header, *rows):
        print(f"{row[0]:24}" + "".join(f"{value:>12}" for value in row[1:]))
    print(f"{options.output}: {len(after)} structures; {report}: their distances")
    return 0


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-perturb``."""
    from mlip_train.robust.perturbation import Perturbation

    default = Perturbation()
    parser = command_parser(
        "mlip-perturb",
        description="Make structures with close pairs of atoms, on which a network can be trained before it sees the "
        "data: pairs of neighbours are pulled together and atoms displaced at random. They have no labels; mlip-label "
        "gives them those of an empirical potential.",
        example="mlip-perturb silica.extxyz --rounds 5 --pull 1.0 0.0 -o perturbed.extxyz",
    )
    parser.add_argument(
        "structures",
        metavar="STRUCTURES",
        type=Path,
        help=f"structures to perturb: {format_titles()}. Labels that they have are dropped",
    )
    add_units(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        action=Once,
        required=True,
        type=Path,
        help="extended XYZ file to write; beside it, a page on the distances",
    )
    number = {"metavar": "N", "type": int}
    lengths = {"metavar": ("A", "B"), "type": float, "nargs": 2}
    for name, kind, words in (
        ("rounds", number, "perturbed copies of each structure"),
        ("pairs", number, "close pairs to pull together, no atom in two of them"),
        (
            "pull",
            lengths,
            "largest way in Å of each atom of a pair; falls linearly from A to B over the rounds",
        ),
        ("sites", number, "atoms to displace in a random direction"),
        ("displacement", lengths, "largest way in Å of such an atom; falls linearly from A to B"),
        ("seed", number, "seed of the random numbers"),
    ):
        value = getattr(default, name)
        shown = " ".join(map(str, value)) if isinstance(value, tuple) else value
        parser.add_argument(f"--{name}", default=value, help=f"{words} (default: {shown})", **kind)
    parser.add_argument(
        "--closest",
        metavar="F",
        type=float,
        default=default.closest,
        help="no two atoms come nearer than F times the sum of their covalent radii (default: %(default)s)",
    )
    parser.add_argument(
        "--workers", metavar="N", type=int, default=1, help="processes (default: %(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
