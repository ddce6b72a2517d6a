"""The command ``mlip-card``: argument parsing only."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from mlip_engines.commands.overwriting import refuse_to_overwrite
from mlip_engines.commands.parser import add_model, command_parser
from mlip_engines.model.archive import replace_metadata
from mlip_engines.model.card import model_card
from mlip_engines.model.card_facts import check_facts
from mlip_engines.model.load import find_model, read_metadata


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-card MODEL``; the options are in its help.

    Returns
    -------
    int
        0, or 1 after a message about what was expected and what was got.
    """
    options = argument_parser().parse_args(arguments)
    try:
        path = find_model(options.model)
        metadata = read_metadata(path)
        refuse_to_overwrite(options.output, (path, options.record))
        if options.record is not None:
            if not Path(options.model).is_file():
                raise ValueError(
                    "--record writes into the model file: expected the path of one of yours, got "
                    f"{options.model!r}, the name of a shipped model; copy {path} and name the copy"
                )
            metadata = dataclasses.replace(metadata, card=_facts(options.record))
            replace_metadata(path, metadata)
        card = model_card(metadata, model=options.model)
        if options.output is None:
            print(card, end="")
        else:
            options.output.write_text(card, encoding="utf-8")
    except (ValueError, OSError) as e:
        print(f"mlip-card: {e}", file=sys.stderr)
        return 1
    return 0


def _facts(file: Path) -> dict[str, Any]:
    """Return the facts of a YAML file: all of it, or the entry ``card`` of a recipe."""
    import yaml

    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise ValueError(f"{file}: expected facts in YAML: {e}") from e
    if isinstance(values, dict) and "card" in values:
        values = values["card"]
    return check_facts(values, str(file))


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-card``."""
    parser = command_parser(
        "mlip-card",
        description="Write the card of a model: what it is, what it was trained on, its errors, what it must not be "
        "used for, how to load it. All of it is in the metadata of the file; nothing in the file is executed.",
        example="""
            mlip-card water
            mlip-card model.pt -o model.md
            mlip-card model.pt --record facts.yaml -o model.md
        """,
    )
    add_model(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="file to write (default: print the card)"
    )
    parser.add_argument(
        "--record",
        metavar="FACTS",
        type=Path,
        help="write these facts into the metadata of the model file first, in place of those it has: a YAML file "
        "with any of summary, recipe, errors, stride, speed, use, not_for, notes, or a recipe with an entry card. "
        "Weights and checksum stay as they are. MODEL is then the path of a file, not the name of a shipped model",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
