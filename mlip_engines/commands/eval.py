"""The command ``mlip-eval``: argument parsing only."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from mlip_engines.commands.parser import (
    add_device,
    add_label_keys,
    add_model,
    add_units,
    command_parser,
    label_keys,
)
from mlip_engines.readers.registry import format_titles

if TYPE_CHECKING:
    from mlip_engines.model.load import LoadedModel


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-eval MODEL FILE``; the options are in its help.

    Returns
    -------
    int
        0, or 1 after a message about what was expected and what was got.
    """
    options = argument_parser().parse_args(arguments)
    from mlip_engines.labels.isolated import config_type
    from mlip_engines.labels.reading import INDEX, read_checked
    from mlip_engines.model.load import load_model
    from mlip_engines.properties.by_element import ElementSums, element_rows
    from mlip_engines.properties.by_structure import (
        NamedErrors,
        as_text,
        errors_by_kind,
        kind_rows,
        worst_rows,
    )
    from mlip_engines.properties.errors import c_minus_nc_warning, evaluate_model, format_errors

    try:
        model = load_model(options.model, options.device)
        if options.properties:
            return _properties(model, options)
        structures, warnings = read_checked(
            options.file,
            options.index,
            units=options.units,
            keys=label_keys(options),
            progress=True,
        )
        for warning in warnings:
            print(f"mlip-eval: warning: {warning}", file=sys.stderr)
        each, elements = [], ElementSums()
        errors = evaluate_model(
            model,
            structures,
            batch_size=options.batch,
            progress=True,
            each=each,
            elements=elements,
        )
    except (ValueError, OSError) as e:
        print(f"mlip-eval: {e}", file=sys.stderr)
        return 1
    far_apart = c_minus_nc_warning(errors.rms_c_minus_nc)
    if far_apart is not None:
        print(f"mlip-eval: warning: {far_apart}", file=sys.stderr)
    values = {name: value for name, value in asdict(errors).items() if value is not None}
    named = [
        NamedErrors(config_type(atoms), f"structure {atoms.info[INDEX]}", found)
        for atoms, found in zip(structures, each, strict=True)
    ]
    kinds = errors_by_kind(named)
    by_element = elements.errors()
    if options.json:
        if len(kinds) > 1:
            values["by_config_type"] = {kind.name: asdict(kind) for kind in kinds}
        if len(by_element) > 1:
            values["by_element"] = {each.symbol: asdict(each) for each in by_element}
        print(json.dumps(values, indent=2))
        return 0
    print(format_errors(errors))
    if len(kinds) > 1:
        print(f"\n{as_text(*kind_rows(named))}")
    if len(by_element) > 1:
        print(f"\n{as_text(*element_rows(by_element))}")
    if len(named) > 1:
        print(f"\n{as_text(*worst_rows(named))}")
    return 0


def _properties(model: LoadedModel, options: argparse.Namespace) -> int:
    """Print the errors of the properties of structures."""
    from mlip_engines.labels.reading import read_checked
    from mlip_engines.properties.of_structures import format_property_errors, property_errors

    structures, _ = read_checked(
        options.file, options.index, units=options.units, labels=False, progress=True
    )
    errors = property_errors(model, structures, batch_size=options.batch)
    if options.json:
        print(json.dumps({each.name: asdict(each) for each in errors}, indent=2))
    else:
        print(format_property_errors(errors))
    return 0


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-eval``."""
    parser = command_parser(
        "mlip-eval",
        description="Compare the energies, forces and stresses of a model with labelled structures, and print the "
        "errors: of all, of each config_type, of the forces on each element, and of the worst structures.",
        example="mlip-eval water labelled.extxyz",
    )
    add_model(parser)
    parser.add_argument(
        "file", metavar="FILE", help=f"structures with energies and forces: {format_titles()}"
    )
    add_units(parser)
    add_label_keys(parser)
    parser.add_argument(
        "--json", action="store_true", help="print the errors as JSON, in eV/atom, eV/Å and eV/Å^3"
    )
    parser.add_argument(
        "--properties",
        action="store_true",
        help="compare the properties of structures that the model file has, such as a gap, with values of the same "
        "names in the comment lines; energies and forces are not needed",
    )
    parser.add_argument(
        "--index",
        default=":",
        help="which structures of the file, in the notation of ASE; write --index=-5: for the last five (default: all)",
    )
    parser.add_argument(
        "--batch", metavar="N", type=int, default=4, help="structures per evaluation (default: 4)"
    )
    add_device(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
