"""The command ``mlip-elastic``: argument parsing, and the order of what happens."""

from __future__ import annotations

import argparse
import json
import sys

from mlip_engines.commands.crystal import add_crystal, add_crystal_relaxation
from mlip_engines.commands.overwriting import refuse_to_overwrite
from mlip_engines.commands.parser import command_parser


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-elastic MODEL STRUCTURE -o FOLDER``; the options are in its help.

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
            "mlip-elastic: the report needs matplotlib: pip install 'mlip-engines[phonons]'",
            file=sys.stderr,
        )
        return 1
    try:
        return _elastic(options)
    except (ValueError, OSError) as e:
        print(f"mlip-elastic: {e}", file=sys.stderr)
        return 1


def _elastic(options: argparse.Namespace) -> int:
    import ase.io

    from mlip_engines.elasticity.measurement import elasticity
    from mlip_engines.elasticity.report import constants_table, report_page, words
    from mlip_engines.model.load import load_model
    from mlip_engines.relaxation.crystal import one_crystal, relaxed_crystal

    model = load_model(options.model, options.device)
    atoms = one_crystal(options.structure, options.units)
    model.check_elements(set(atoms.get_chemical_symbols()))
    warnings: list[str] = []
    if options.relax:
        refuse_to_overwrite(options.output / "relaxed.extxyz", [options.structure])
        atoms, warnings = relaxed_crystal(model, atoms, fmax=options.fmax)
    found = elasticity(
        model, atoms, strain=options.strain, fmax=options.fmax, max_edges=options.edges
    )
    warnings += found.warnings
    options.output.mkdir(parents=True, exist_ok=True)
    if options.relax:
        ase.io.write(options.output / "relaxed.extxyz", atoms)
    settings = {
        "model": model.metadata.name,
        "checksum": model.metadata.checksum,
        "structure": str(options.structure),
        "strain": options.strain,
        "fmax": options.fmax,
        "relaxed": options.relax,
    }
    values = {"settings": settings, **found.summary(), "warnings": warnings}
    (options.output / "elastic.json").write_text(json.dumps(values, indent=1) + "\n")
    (options.output / "report.html").write_text(report_page(found, settings, warnings))
    for warning in warnings:
        print(f"mlip-elastic: warning: {warning}", file=sys.stderr)
    print("elastic constants in GPa, in the order xx yy zz yz xz xy:")
    for row in constants_table(found):
        print("  " + "".join(f"{value:>10}" for value in row[1:]))
    print("\n".join(words(found)))
    print(options.output / "report.html")
    return 0


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-elastic``."""
    parser = command_parser(
        "mlip-elastic",
        description="Measure the elastic constants, the bulk and shear moduli and the equation of state of a crystal, "
        "which is relaxed first. Strained cells are evaluated together, and their atoms are relaxed.",
        example="mlip-elastic copper POSCAR -o elastic",
    )
    add_crystal(parser)
    parser.add_argument(
        "--strain",
        metavar="E",
        type=float,
        default=0.005,
        help="cells are strained by E and 2 E, to both sides (default: %(default)s)",
    )
    add_crystal_relaxation(
        parser, edges=20_000, afterwards="; the atoms of strained cells are relaxed all the same"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
