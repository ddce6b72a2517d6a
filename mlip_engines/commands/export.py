"""The command ``mlip-export``: argument parsing only."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mlip_engines.commands.parser import command_parser
from mlip_engines.model.contract import DTYPES, ModelMetadata
from mlip_engines.model.load import find_model, read_metadata


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
            print(read_metadata(find_model(options.info)).to_json())
            return 0
        if options.checkpoint is None or options.output is None:
            raise ValueError("expected CHECKPOINT -o MODEL to export, or --info MODEL")
        metadata = export_checkpoint(
            options.checkpoint,
            options.output,
            options.dtype,
            inner=options.inner,
            name=options.name,
        )
    except (ValueError, OSError) as e:
        print(f"mlip-export: {e}", file=sys.stderr)
        return 1
    print(
        f"{options.output}: {metadata.name}, {' '.join(metadata.species)}, {metadata.dtype}, heads "
        f"{', '.join(metadata.heads)}; reloaded, same results as the network"
    )
    return 0


def export_checkpoint(
    checkpoint: str | Path,
    output: str | Path,
    dtype: str = "float32",
    *,
    inner: str | Path | None = None,
    name: str | None = None,
) -> ModelMetadata:
    """Turn a checkpoint of mlip-train into a model file.

    Parameters
    ----------
    checkpoint : str or Path
    output : str or Path
    dtype : {"float32", "float64"}
        In which the network computes; sums and derivatives are float64 in either.
    inner : str or Path, optional
        Checkpoint of a second network, whose non-conservative forces take the place of the first one's.
    name : str, optional
        Of the model; by default that of the recipe.

    Returns
    -------
    ModelMetadata
        As written, checksum included.

    Raises
    ------
    FileNotFoundError
        If there is no such checkpoint.
    ValueError
        If it is no checkpoint, the two networks do not fit each other, or the file does not compute what they do.
    """
    import torch

    from mlip_engines.model.export import export_model

    # The networks are the training side's: the core knows them only when it is asked to export one.
    from mlip_train.loop.checkpoint import load_network

    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    network, fields, reference_energies, scale = load_network(checkpoint)
    network = network.to(getattr(torch, dtype))
    if inner is not None:
        network, fields = _with_inner_force(network, fields, scale, inner, dtype)
    if name is not None:
        fields["name"] = name
    metadata = ModelMetadata(
        **fields,
        cutoff=network.cutoff,
        message_passing_layers=network.message_passing_layers,
        interaction_range=network.cutoff * network.message_passing_layers,
        heads=list(network.heads),
        dtype=dtype,
    )
    return export_model(
        network, metadata, output, reference_energies=reference_energies, scale=scale
    )


def _with_inner_force(
    network: Any, fields: dict[str, Any], scale: float, inner: str | Path, dtype: str
) -> tuple[Any, dict[str, Any]]:
    """Return the network with another's non-conservative forces, and the metadata of both."""
    import torch

    from mlip_engines.model.inner_force import WithInnerForce
    from mlip_train.loop.checkpoint import load_network

    small, of_small, _, its_scale = load_network(inner)
    missing = sorted(set(fields["species"]) - set(of_small["species"]))
    if missing:
        raise ValueError(
            f"{inner}: the inner network does not know {', '.join(missing)}; train it on all of "
            f"{', '.join(fields['species'])}"
        )
    both = WithInnerForce(network, small.to(getattr(torch, dtype)), its_scale / scale)
    training = {**fields.get("training", {}), "inner": of_small.get("training", {})}
    # Errors of the replaced head, and its distance from C, say nothing about this model.
    kept = {
        key: value
        for key, value in fields.get("errors", {}).items()
        if "non_conservative" not in key and "c_minus_nc" not in key
    }
    return both, {**fields, "training": training, "errors": kept}


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-export``."""
    parser = command_parser(
        "mlip-export",
        description="Write the model file that LAMMPS, OpenMM and ASE load, or describe one.",
        example="""
            mlip-export run/checkpoint.pt -o my_water.pt
            mlip-export --info water
        """,
    )
    parser.add_argument("checkpoint", nargs="?", metavar="CHECKPOINT", help="of mlip-train")
    parser.add_argument("-o", "--output", metavar="MODEL", type=Path, help="model file to write")
    parser.add_argument(
        "--inner",
        metavar="CHECKPOINT",
        type=Path,
        help="take the non-conservative forces from this network instead: a small one that was trained on the forces "
        "of the first, see mlip-label",
    )
    parser.add_argument("--name", help="of the model (default: that of the recipe)")
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default="float32",
        help="in which the network computes (default: %(default)s)",
    )
    parser.add_argument(
        "--info",
        metavar="MODEL",
        help="print the metadata of a model file as JSON; nothing in the file is executed",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
