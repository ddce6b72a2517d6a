"""What predicts properties: a checkpoint of mlip-property, or a model file with properties."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from ase import Atoms
from torch import Tensor

from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.load import LoadedModel, load_model, read_metadata
from mlip_engines.model.neighbors import neighbor_graph
from mlip_engines.model.structure_properties import evaluate_properties
from mlip_train.property.checkpoint import open_property, read_property
from mlip_train.property.prediction import predict_properties


@dataclass(frozen=True)
class Predictor:
    """Properties (S, T) of structures, NaN where there is none, and the reasons by index."""

    targets: list[str]
    predict: Callable[[Sequence[Atoms], int], tuple[Tensor, dict[int, str]]]


def open_predictor(path: str | Path) -> Predictor:
    """Open a checkpoint or a model file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is neither, or a model file without properties.
    """
    try:
        metadata = read_metadata(path)
    except ModelContractError:
        network, targets = open_property(path)
        species = read_property(path)["build"]["network"]["species"]
        return Predictor(
            targets,
            lambda structures, size: predict_properties(network, structures, species, size),
        )
    if not metadata.properties:
        raise ValueError(
            f"{path}: expected a model file with properties, got one with an energy alone; train it with mlip-property "
            "--from, and export that checkpoint"
        )
    targets = [each["name"] for each in metadata.properties]
    return Predictor(targets, partial(_of_model, load_model(path)))


def _of_model(
    model: LoadedModel, structures: Sequence[Atoms], batch_size: int
) -> tuple[Tensor, dict[int, str]]:
    if batch_size < 1:
        raise ValueError(f"batch size must be at least 1, got {batch_size}")
    reasons: dict[int, str] = {}
    values = torch.full(
        (len(structures), len(model.metadata.properties)), torch.nan, dtype=torch.float64
    )
    graphs = {}
    for k, atoms in enumerate(structures):
        try:
            if len(atoms) == 0:
                raise ValueError("it has no atoms")
            model.check_elements(set(atoms.get_chemical_symbols()))
            graphs[k] = neighbor_graph(
                atoms, model.metadata.cutoff, model.metadata.structure_inputs
            )
        except ValueError as e:
            reasons[k] = str(e)
        if graphs and (len(graphs) == batch_size or k == len(structures) - 1):
            values[list(graphs)] = evaluate_properties(model, list(graphs.values()))
            graphs = {}
    return values, reasons
