"""A network to a model file, reloaded and compared before it counts as written."""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from pathlib import Path

import torch
from ase.data import atomic_numbers as number_of
from torch import nn

from mlip_engines.model.archive import (
    METADATA_RECORD,
    checksum,
    replace_metadata,
    strip_debug_records,
)
from mlip_engines.model.contract import ModelContractError, ModelMetadata
from mlip_engines.model.evaluation import evaluate
from mlip_engines.model.exported import ExportedModel
from mlip_engines.model.extensions import used_extensions
from mlip_engines.model.graph import Graph, reverse_edges
from mlip_engines.model.load import LoadedModel, load_model
from mlip_engines.model.structure_properties import (
    ModelWithProperties,
    evaluate_properties,
    properties_in,
)
from mlip_engines.model.symmetrised import Symmetrised, SymmetrisedModel

# Eager and scripted evaluations differ by the order of their sums only.
_RELATIVE_TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


def export_model(
    network: nn.Module,
    metadata: ModelMetadata,
    path: str | Path,
    *,
    reference_energies: dict[str, float] | None = None,
    scale: float = 1.0,
    reader: nn.Module | None = None,
) -> ModelMetadata:
    """Write a model file and return its metadata, checksum included.

    Parameters
    ----------
    network : AtomicNetwork
        In the dtype that the file shall have; put in evaluation mode here.
    metadata : ModelMetadata
        ``cutoff``, ``message_passing_layers``, ``heads`` and ``dtype`` must be the network's.
    path : str or Path
        Replaced only when everything has worked.
    reference_energies : dict of str to float, eV
        Composition baseline by symbol; by default that of ``metadata``.
    scale : float
        Factor on the network's energies and forces.
    reader : nn.Module, optional
        What gives the ``properties`` of the metadata, see
        :class:`mlip_engines.model.structure_properties.ModelWithProperties`; in the dtype of the network.

    Raises
    ------
    ModelContractError
        If metadata and network differ, a reference energy has no chemical symbol, a number is not finite, or the
        reloaded file gives other numbers than the network.
    """
    path = Path(path)
    if reference_energies is None:
        reference_energies = metadata.reference_energies
    _check_numbers(metadata, reference_energies, scale)
    metadata = dataclasses.replace(
        metadata,
        reference_energies=dict(reference_energies),
        non_conservative_layers=int(getattr(network, "non_conservative_layers", 0)),
        feature_exchange=bool(getattr(network, "feature_exchange", False)),
        edge_exchange=bool(getattr(network, "edge_exchange", False)),
        structure_inputs=list(getattr(network, "structure_inputs", [])),
        short_range=dict(getattr(network, "short_range", {})),
        energy_range=dict(getattr(network, "energy_range", {})),
        largest_forces=dict(getattr(network, "largest_forces", {})),
        symmetrisation=dict(getattr(network, "symmetrisation", {})),
    )
    metadata.check(metadata.name)
    _check_reader(metadata, network, reader)
    network = network.eval()
    for module in (network, reader):
        for parameter in [] if module is None else module.parameters():
            parameter.requires_grad_(False)  # no gradient work for parameters in an engine
    energies = {number_of[s]: e for s, e in reference_energies.items()}
    if reader is not None:
        model = ModelWithProperties(network, energies, scale, reader).eval()
    else:
        kind = SymmetrisedModel if isinstance(network, Symmetrised) else ExportedModel
        model = kind(network, energies, scale).eval()
    _check_against_network(metadata, model)
    with warnings.catch_warnings():
        # torch deprecates TorchScript from 2.10 on; it is the format of the contract.
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        scripted = torch.jit.script(model)
    metadata = dataclasses.replace(metadata, extensions=used_extensions(scripted))
    metadata = dataclasses.replace(metadata, contract_version=metadata.least_version)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".partial")
    try:
        torch.jit.save(scripted, str(draft), _extra_files={METADATA_RECORD: metadata.to_json()})
        strip_debug_records(draft)
        metadata = dataclasses.replace(metadata, checksum=checksum(draft))
        replace_metadata(draft, metadata)
        reloaded = load_model(draft)
        _compare(model, reloaded.module, metadata)
        if reader is not None:
            _compare_properties(LoadedModel(model, metadata, draft), reloaded)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return metadata


def _check_numbers(
    metadata: ModelMetadata, reference_energies: dict[str, float], scale: float
) -> None:
    unknown = sorted(set(reference_energies) - set(number_of))
    if unknown:
        raise ModelContractError(
            f"{metadata.name}: expected reference energies by chemical symbol, got {', '.join(unknown)}"
        )
    for symbol, energy in reference_energies.items():
        if not math.isfinite(energy):
            raise ModelContractError(
                f"{metadata.name}: the reference energy of {symbol} must be finite, got {energy}"
            )
    if not math.isfinite(scale) or scale == 0.0:
        raise ModelContractError(f"{metadata.name}: scale must be finite and not 0, got {scale}")


def _check_reader(metadata: ModelMetadata, network: nn.Module, reader: nn.Module | None) -> None:
    """Raise ModelContractError unless metadata and reader speak of the same properties, within the network's reach."""
    known = properties_in(metadata.properties)
    if (reader is None) != (not known):
        raise ModelContractError(
            f"{metadata.name}: expected properties in the metadata together with a reader of them, got one without the "
            "other"
        )
    if reader is None:
        return
    if isinstance(network, Symmetrised):
        raise ModelContractError(
            f"{metadata.name}: properties are not averaged over orientations, so they would not be those of the model; "
            "export without --symmetrise"
        )
    for name in ("cutoff", "message_passing_layers"):
        if not getattr(reader, name) <= getattr(network, name):
            raise ModelContractError(
                f"{metadata.name}: expected a reader of properties with {name} of at most {getattr(network, name)}, "
                f"that of the network, got {getattr(reader, name)}"
            )


def _check_against_network(metadata: ModelMetadata, model: ExportedModel) -> None:
    network = model.network
    for name in ("cutoff", "message_passing_layers", "heads"):
        declared, actual = getattr(metadata, name), getattr(network, name)
        if declared != actual:
            raise ModelContractError(
                f"{metadata.name}: metadata say {name} = {declared}, the network has {actual}"
            )
    if str(model.dtype) != f"torch.{metadata.dtype}":
        raise ModelContractError(
            f"{metadata.name}: metadata say {metadata.dtype}, the network is {model.dtype}"
        )
    unknown = sorted(set(metadata.species) - set(number_of))
    if unknown:
        raise ModelContractError(f"{metadata.name}: {unknown} are no chemical symbols")


def _compare(
    model: ExportedModel, reloaded: torch.jit.ScriptModule, metadata: ModelMetadata
) -> None:
    graph = _probe_graph(metadata)
    has_head = metadata.has_non_conservative_forces
    expected = evaluate(model, graph, with_non_conservative=has_head)
    found = evaluate(reloaded, graph, with_non_conservative=has_head)
    limit = _RELATIVE_TOLERANCE[metadata.dtype]
    for name, value in expected.items():
        if name == "energy" or name == "atomic_energies":
            value = (
                value - model.baseline[graph.atomic_numbers].sum() if name == "energy" else value
            )
            other = found[name] - (
                model.baseline[graph.atomic_numbers].sum() if name == "energy" else 0.0
            )
        else:
            other = found[name]
        difference = float((value - other).abs().max())
        if not difference <= limit * max(1.0, float(value.abs().max())):
            raise ModelContractError(
                f"{metadata.name}: {name} of the reloaded file differs by {difference:.2e} from "
                f"the network, expected at most {limit:.0e} relative; the file was not written"
            )


def _compare_properties(model: LoadedModel, reloaded: LoadedModel) -> None:
    metadata = reloaded.metadata
    graph = [_probe_graph(metadata)]
    expected, found = evaluate_properties(model, graph)[0], evaluate_properties(reloaded, graph)[0]
    limit = _RELATIVE_TOLERANCE[metadata.dtype] * expected.abs().clamp(min=1.0)
    if not bool(((expected - found).abs() <= limit).all()):
        raise ModelContractError(
            f"{metadata.name}: properties of the reloaded file are {found.tolist()}, expected those of the network, "
            f"{expected.tolist()}; the file was not written"
        )


def _probe_graph(metadata: ModelMetadata) -> Graph:
    """Return an open chain of atoms of all species, every pair in reach joined by two edges."""
    n_atoms = max(6, len(metadata.species))
    generator = torch.Generator().manual_seed(1)
    spacing = 0.4 * metadata.cutoff
    positions = torch.zeros((n_atoms, 3), dtype=torch.float64)
    positions[:, 0] = spacing * torch.arange(n_atoms)
    positions += (
        0.1 * spacing * torch.rand(positions.shape, generator=generator, dtype=torch.float64)
    )
    separation = positions[None, :] - positions[:, None]  # (N, N, 3), from the first to the second
    distance = torch.linalg.vector_norm(separation, dim=2)
    edge_index = torch.nonzero((distance < metadata.cutoff) & (distance > 0)).T.contiguous()
    numbers = torch.tensor([number_of[s] for s in metadata.species])
    # A charge and a spin that are not what a network may take for granted.
    given = {"total_charge": 1.0, "spin_multiplicity": 2.0}
    structure = {name: torch.tensor(given[name]) for name in metadata.structure_inputs}
    return Graph(
        numbers[torch.arange(n_atoms) % len(numbers)],
        edge_index,
        separation[edge_index[0], edge_index[1]],  # (E, 3)
        reverse_edges(edge_index, torch.zeros((edge_index.size(1), 3), dtype=torch.int64)),
        torch.ones(n_atoms, dtype=torch.bool),
        **structure,
    )
