"""The command ``mlip-phonons``: argument parsing, and the order of what happens."""

from __future__ import annotations

import argparse
import json
import re
import sys

from mlip_engines.commands.crystal import add_crystal, add_crystal_relaxation
from mlip_engines.commands.overwriting import refuse_to_overwrite
from mlip_engines.commands.parser import FORCES, add_forces, command_parser


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-phonons MODEL STRUCTURE -o FOLDER``; the options are in its help.

    Returns
    -------
    int
        0, or 1 after a message about what was expected and what was got.
    """
    options = argument_parser().parse_args(arguments)
    try:
        import phonopy  # noqa: F401
        import seekpath  # noqa: F401
    except ImportError as e:
        print(
            f"mlip-phonons: {e.name} is not installed: pip install 'mlip-engines[phonons]'",
            file=sys.stderr,
        )
        return 1
    try:
        return _phonons(options)
    except (ValueError, OSError) as e:
        print(f"mlip-phonons: {e}", file=sys.stderr)
        return 1


def _phonons(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    import ase.io

    from mlip_engines.model.load import load_model
    from mlip_engines.phonons.report import report_page, words
    from mlip_engines.phonons.settings import PhononSettings
    from mlip_engines.phonons.spectrum import phonons
    from mlip_engines.phonons.supercell import checked_supercell
    from mlip_engines.relaxation.crystal import one_crystal, relaxed_crystal

    settings = PhononSettings(
        supercell=tuple(options.supercell) if options.supercell else None,
        displacements={
            "conservative": options.displacement,
            "non_conservative": options.nc_displacement,
        },
        mesh=options.mesh,
        temperature_max=options.temperature,
        tolerance=options.tolerance,
        max_edges=options.edges,
    )
    models = [load_model(name, options.device) for name in (options.model, *options.beside)]
    atoms = one_crystal(options.structure, options.units)
    for model in models:  # before anything is computed
        model.check_elements(set(atoms.get_chemical_symbols()))
        checked_supercell(atoms, model, settings.supercell)
    relaxed = [options.output / f"{_file_name(m.metadata.name)}_relaxed.extxyz" for m in models]
    if options.relax:
        for path in relaxed:
            refuse_to_overwrite(path, [options.structure])
    options.output.mkdir(parents=True, exist_ok=True)
    curves, warnings = [], []
    for model, path in zip(models, relaxed, strict=True):
        crystal = atoms
        if options.relax:
            crystal, notes = relaxed_crystal(model, atoms, fmax=options.fmax, cell=options.cell)
            warnings += notes
            ase.io.write(path, crystal)
        for kind in options.forces:
            if (
                kind == "nc"
                and not model.metadata.has_non_conservative_forces
                and model in models[1:]
            ):
                continue
            print(
                f"{model.metadata.name}, {FORCES[kind].replace('_', '-')} forces", file=sys.stderr
            )
            curves.append(phonons(model, crystal, forces=FORCES[kind], settings=settings))
    folders = _folders([curve.label for curve in curves])
    for curve, folder in zip(curves, folders, strict=True):
        curve.write(options.output / folder)
    described = {
        **asdict(settings),
        "model": str(options.model),
        "structure": str(options.structure),
    }
    values = {"settings": described, "curves": [curve.summary() for curve in curves]}
    (options.output / "phonons.json").write_text(json.dumps(values, indent=1) + "\n")
    (options.output / "report.html").write_text(report_page(curves, described, warnings))
    for curve in curves:
        warnings += [f"{curve.label}: {text}" for text in curve.warnings]
    for warning in warnings:
        print(f"mlip-phonons: warning: {warning}", file=sys.stderr)
    print("\n".join(words(curves)))
    print(options.output / "report.html")
    return 0


def _folders(labels: list[str]) -> list[str]:
    """Return names of folders, each another."""
    names: list[str] = []
    for label in labels:
        name = _file_name(label)
        names.append(name if name not in names else f"{name}_{len(names)}")
    return names


def _file_name(label: str) -> str:
    return re.sub(r"[^\w.-]", "_", label)


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-phonons``."""
    parser = command_parser(
        "mlip-phonons",
        description="Compute the phonons of a crystal by finite displacements: force constants, bands, density of "
        "states and free energy, with phonopy. The crystal is relaxed first.",
        example="mlip-phonons copper POSCAR -o phonons\n"
        "mlip-phonons copper POSCAR --forces c nc --supercell 5 5 5 -o phonons",
    )
    add_crystal(parser)
    add_forces(parser, several=True)
    parser.add_argument(
        "--beside",
        metavar="MODEL",
        nargs="+",
        default=[],
        help="other models to be shown beside, such as the same one averaged over rotations",
    )
    parser.add_argument(
        "--supercell",
        metavar="N",
        nargs=3,
        type=int,
        help="repeats along the lattice vectors (default: as few as leave twice the cutoff between faces)",
    )
    parser.add_argument(
        "--displacement",
        metavar="D",
        type=float,
        default=0.03,
        help="of an atom with conservative forces, in Å (default: %(default)s)",
    )
    parser.add_argument(
        "--nc-displacement",
        metavar="D",
        type=float,
        default=0.1,
        help="of an atom with non-conservative forces, in Å (default: %(default)s)",
    )
    parser.add_argument(
        "--fixed-cell",
        dest="cell",
        action="store_false",
        help="relax the atoms only, at the volume of the file",
    )
    parser.add_argument(
        "--mesh",
        metavar="L",
        type=float,
        default=50.0,
        help="fineness of the mesh of q, a length in Å as phonopy understands it (default: %(default)s)",
    )
    parser.add_argument(
        "--temperature",
        metavar="T",
        type=float,
        default=1000.0,
        help="highest temperature of the free energy, in K (default: %(default)s)",
    )
    parser.add_argument(
        "--tolerance",
        metavar="D",
        type=float,
        default=1e-3,
        help="within which the crystal is symmetric, in Å (default: %(default)s)",
    )
    add_crystal_relaxation(parser, edges=40_000)
    return parser


if __name__ == "__main__":
    sys.exit(main())
