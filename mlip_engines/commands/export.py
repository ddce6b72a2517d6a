"""The command ``mlip-export``: argument parsing only."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlip_engines.commands.overwriting import refuse_to_overwrite
from mlip_engines.commands.parser import command_parser
from mlip_engines.model.contract import DTYPES, ModelMetadata
from mlip_engines.model.load import find_model, read_metadata

if TYPE_CHECKING:
    from ase import Atoms

    from mlip_engines.checkpoints import Exportable
    from mlip_engines.model.orientations import Orientations


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-export CHECKPOINT -o MODEL`` or ``mlip-export --info MODEL``.

    Returns
    -------
    int
        0, or 1 after a message about what was expected and what was got.
    """
    options = argument_parser().parse_args(arguments)
    try:
        if options.info is not None:
            if options.checkpoint is not None or options.output is not None:
                raise ValueError("--info takes a model and nothing else; export in another call")
            _describe(read_metadata(find_model(options.info)))
            return 0
        with warnings.catch_warnings(record=True) as doubts:
            warnings.simplefilter("always", UserWarning)
            metadata = _export(options)
        for doubt in doubts:
            print(f"mlip-export: warning: {doubt.message}", file=sys.stderr)
    except (ValueError, OSError, ImportError) as e:
        print(f"mlip-export: {e}", file=sys.stderr)
        return 1
    print(
        f"{options.output}: {metadata.name}, {' '.join(metadata.species)}, {metadata.dtype}, heads "
        f"{', '.join(metadata.heads)}; reloaded, same results as the network"
    )
    if metadata.symmetrisation:
        print(
            f"averaged over {metadata.symmetrisation['orientations']} orientations; an evaluation costs so many times "
            "that of the network alone"
        )
    if metadata.short_range and not metadata.energy_range:
        print(
            "mlip-export: the range of the atomic energies in the training data is unknown, so the energy may have "
            "holes where atoms crowd in a way that the data do not have; give the data with --shortest-from FILE",
            file=sys.stderr,
        )
    from mlip_engines.properties.errors import c_minus_nc_warning

    far_apart = c_minus_nc_warning(metadata.errors.get("rms_c_minus_nc"))
    if far_apart is not None:
        print(f"mlip-export: warning: {far_apart}", file=sys.stderr)
    if metadata.comparison:
        print(_comparison(metadata.comparison))
    return 0


def _export(options: argparse.Namespace) -> ModelMetadata:
    if options.checkpoint is None or options.output is None:
        raise ValueError("expected CHECKPOINT -o MODEL to export, or --info MODEL")
    _refuse_options_of_adapters(options)
    read = [options.inner, options.shortest_from, options.compare_on, options.checkpoint]
    if options.adapter == "python":
        read.append(options.checkpoint.rpartition(":")[0] or None)
    refuse_to_overwrite(options.output, read)
    data = _structures(options.shortest_from)
    how = {
        "inner": _inner(options),
        "name": options.name,
        "short_range": options.short_range,
        "shortest": _shortest(options, data),
        "data": data,
        "compare": options.compare,
        "compare_on": _structures(options.compare_on),
        "orientations": _orientations(options),
    }
    if options.adapter is None:
        from mlip_engines.checkpoints import export_checkpoint

        return export_checkpoint(options.checkpoint, options.output, options.dtype, **how)
    from mlip_engines.adapters import find_adapter
    from mlip_engines.checkpoints import export_network

    opened = find_adapter(options.adapter)(options.checkpoint, options.species, options.dtype)
    return export_network(opened, options.output, options.dtype, **how)


def _refuse_options_of_adapters(options: argparse.Namespace) -> None:
    """Raise ValueError for options of --from without it, which would have no effect."""
    if options.adapter is not None:
        return
    if options.species is not None:
        raise ValueError("--species goes with --from: a checkpoint says which elements it knows")
    if options.compare_on is not None or not options.compare:
        given = "--no-compare" if options.compare_on is None else "--compare-on"
        raise ValueError(
            f"{given} goes with --from: a checkpoint of mlip-train has no other package to compare with"
        )


def _shortest(options: argparse.Namespace, data: list[Atoms]) -> dict[str, float]:
    """Return the shortest distances that were given: of structures, then by pair."""
    found: dict[str, float] = {}
    if data:
        from mlip_engines.labels.shortest import shortest_distances, with_margin

        found = with_margin(shortest_distances(data))
    for given in options.shortest or []:
        pair, _, value = given.partition("=")
        try:
            found[pair] = float(value)
        except ValueError as e:
            raise ValueError(
                f"--shortest: expected a pair and a distance in Å, such as H-O=0.76, got {given!r}"
            ) from e
    return found


def _inner(options: argparse.Namespace) -> Path | Exportable | None:
    """Return the second network, or the checkpoint that it is in."""
    if options.inner_adapter is None:
        return options.inner
    if options.inner is None:
        raise ValueError("--inner-from says which package --inner is of; expected --inner as well")
    from mlip_engines.adapters import find_adapter

    return find_adapter(options.inner_adapter)(str(options.inner), options.species, options.dtype)


def _orientations(options: argparse.Namespace) -> Orientations | None:
    """Return the orientations to average over, None if nothing was said of them."""
    if options.symmetrise is None:
        if not options.inversion:
            raise ValueError("--no-inversion goes with --symmetrise lebedev:DEGREE")
        return None
    from mlip_engines.model.orientations import lebedev_orientations, point_group_orientations

    kind, _, value = options.symmetrise.partition(":")
    if kind == "lebedev" and value.isdecimal():
        return lebedev_orientations(int(value), inversion=options.inversion)
    if kind == "group" and value:
        if not options.inversion:
            raise ValueError(
                "--no-inversion goes with lebedev: a point group has its own inversion or none"
            )
        found = _structures(Path(value))
        if len(found) != 1:
            raise ValueError(f"--symmetrise: expected one structure in {value}, got {len(found)}")
        return point_group_orientations(found[0])
    raise ValueError(
        f"--symmetrise: expected lebedev:DEGREE, such as lebedev:3, or group:STRUCTURE, got {options.symmetrise!r}"
    )


def _structures(file: Path | None) -> list[Atoms]:
    """Return the structures of a file, none without one."""
    if file is None:
        return []
    from mlip_engines.labels.reading import read_checked

    return read_checked(file, labels=False)[0]


def _comparison(found: dict[str, Any]) -> str:
    """Return how far the file is from the package that the network comes from."""
    stress = f", stress {found['stress']:.0e} eV/Å^3" if "stress" in found else ""
    return (
        f"compared with {found['calculator']} on {found['structures']} structures: largest differences "
        f"{found['energy_per_atom']:.0e} eV/atom, {found['forces']:.0e} eV/Å{stress}"
    )


def _describe(metadata: ModelMetadata) -> None:
    """Print metadata as JSON, and beside it what a user should know."""
    print(metadata.to_json())
    if metadata.other_heads:
        print(
            f"heads that no engine uses: {', '.join(metadata.other_heads)}; their values are in the output of "
            "load_model(...).evaluate(...)",
            file=sys.stderr,
        )


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-export``."""
    parser = command_parser(
        "mlip-export",
        description="Write the model file that LAMMPS, OpenMM and ASE load, or describe one.",
        example="""
            mlip-export run/checkpoint.pt -o my_water.pt
            mlip-export --from python my_network.py:build --species Ar -o my_argon.pt
            mlip-export run/checkpoint.pt --symmetrise lebedev:3 -o my_symmetric_water.pt
            mlip-export --info water
        """,
    )
    parser.add_argument(
        "checkpoint",
        nargs="?",
        metavar="CHECKPOINT",
        help="checkpoint of mlip-train, or of another package that has registered its kind; or a model file of "
        "mlip-train, to write it anew; with --from, what the adapter takes",
    )
    parser.add_argument("-o", "--output", metavar="MODEL", type=Path, help="model file to write")
    parser.add_argument(
        "--from",
        dest="adapter",
        metavar="NAME",
        help="read CHECKPOINT with this adapter for models of another package. 'python' runs a file of yours: "
        "FILE.py:FUNCTION, a function that returns the network",
    )
    parser.add_argument(
        "--species",
        nargs="+",
        metavar="SYMBOL",
        help="with --from: the chemical elements that the model file shall know",
    )
    parser.add_argument(
        "--no-compare",
        dest="compare",
        action="store_false",
        help="with --from: do not compare the file with the package's own calculator, which takes time for large ones",
    )
    parser.add_argument(
        "--compare-on",
        metavar="FILE",
        type=Path,
        help="with --from: compare on these structures as well",
    )
    parser.add_argument(
        "--inner",
        metavar="CHECKPOINT",
        help="take the non-conservative forces from this network instead: a small one that was trained on the forces "
        "of the first, see mlip-label",
    )
    parser.add_argument(
        "--inner-from",
        dest="inner_adapter",
        metavar="NAME",
        help="read the CHECKPOINT of --inner with this adapter: direct forces of another package's model",
    )
    parser.add_argument(
        "--short-range",
        choices=("zbl", "none"),
        default="zbl",
        help="what happens below the shortest distances of the training data. zbl: a screened nuclear repulsion takes "
        "over; none: the network alone decides, and may have holes there (default: %(default)s)",
    )
    parser.add_argument(
        "--shortest",
        nargs="+",
        metavar="PAIR=DISTANCE",
        help="distances in Å, such as H-O=0.7, below which the repulsion begins, in place of those that the "
        "checkpoint tells",
    )
    parser.add_argument(
        "--shortest-from",
        metavar="FILE",
        type=Path,
        help="take the shortest distances from these structures, times 0.95, and the range of what the network gives "
        "for them: the training data. mlip-train has recorded both in its checkpoints",
    )
    parser.add_argument(
        "--symmetrise",
        metavar="GRID",
        help="average energy, forces and stress over orientations, for networks without rotational symmetry: "
        "lebedev:DEGREE, a grid on all rotations that is exact up to a degree, such as lebedev:3 (48 evaluations) or "
        "lebedev:7 (416); group:STRUCTURE, the point group of the crystal in a file",
    )
    parser.add_argument(
        "--no-inversion",
        dest="inversion",
        action="store_false",
        help="with --symmetrise lebedev:DEGREE: leave mirror images out, for half the cost",
    )
    parser.add_argument("--name", help="name of the model (default: that of the recipe)")
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default="float32",
        help="precision in which the network computes (default: %(default)s)",
    )
    parser.add_argument(
        "--info",
        metavar="MODEL",
        help="print the metadata of a model file as JSON; nothing in the file is executed",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
