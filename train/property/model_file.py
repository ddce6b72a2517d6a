"""A model file with properties, opened to be exported again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlip_engines.checkpoints import Exportable, NotThisKind
from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.load import load_model, read_metadata
from mlip_train.loop.model_file import exportable_of_file
from mlip_train.property.network import Build, PropertyNetwork
from mlip_train.property.reader import reader_of


def open_property_model(path: str | Path) -> Exportable:
    """Return the networks of a model file and what the file says of them.

    A model file is a TorchScript program, which gives its author the right to run code: use only what you trust.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    NotThisKind
        If it is no model file with properties of mlip-property.
    """
    try:
        metadata = read_metadata(path)
    except ModelContractError as e:
        raise NotThisKind(f"expected a model file with properties: {e}") from e
    if not metadata.properties or "property" not in metadata.training:
        raise NotThisKind(f"{path}: expected a model file with properties of mlip-property")
    loaded = load_model(path)
    build = Build(**metadata.training["property"])
    reader = reader_of(PropertyNetwork(build))
    reader.load_state_dict(loaded.module.property_reader.state_dict())
    return replace(
        exportable_of_file(loaded), properties=list(metadata.properties), property_reader=reader
    )
