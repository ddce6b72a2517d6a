"""The door from trained networks to model files: what can be exported, and who reads it from which file.

A package whose training writes checkpoints registers a reader in the entry-point group ``mlip_engines.checkpoints``.
The entry's name is that of the kind of checkpoint. It points to a function that takes a path and returns an
:class:`Exportable`, or raises :class:`NotThisKind` if the file is of another kind. Networks of ``mlip-train`` come in
by this door as well.

For files that only a package of somebody else can read, see :mod:`mlip_engines.adapters`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlip_engines.model.card_facts import with_another_inner_force
from mlip_engines.model.contract import DTYPES, ModelContractError, ModelMetadata

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from torch import nn

    from mlip_engines.model.data_range import DataRange
    from mlip_engines.model.orientations import Orientations

GROUP = "mlip_engines.checkpoints"
SHORT_RANGE = ("zbl", "none")

# The shortest distance of a pair that no data tell, over the sum of its covalent radii: about that of hot molecules.
_OF_COVALENT_RADII = 0.7


class NotThisKind(ValueError):
    """A file is no checkpoint of the kind that a reader knows; the message says what it expected."""


@dataclass(frozen=True)
class Exportable:
    """A network with everything that its model file says about it.

    Below ``shortest_distances`` a repulsion takes over, see :mod:`mlip_engines.model.short_range`; beyond
    ``data_range`` the network's answer is not trusted, see :mod:`mlip_engines.model.data_range`.

    ``network`` follows :mod:`mlip_engines.model.contract`. If there is a ``reference``, an ASE calculator of the
    package that the network comes from, the written file is compared with it before it counts as exported.
    """

    network: nn.Module
    species: list[str]  # chemical symbols
    name: str = ""
    reference_energies: dict[str, float] = field(default_factory=dict)  # eV, added per atom
    scale: float = 1.0  # factor on what the network returns, to eV and eV/Å
    training: dict[str, Any] = field(default_factory=dict)  # data, their hash, split, recipe
    errors: dict[str, float] = field(default_factory=dict)  # on the test split, eV and eV/Å
    errors_by: dict[str, Any] = field(default_factory=dict)  # the same by element and config_type
    card: dict[str, Any] = field(default_factory=dict)  # facts for the model card
    licence: str = ""
    citation: str = ""
    shortest_distances: dict[str, float] = field(
        default_factory=dict
    )  # Å by pair, of the data: "H-O"
    data_range: DataRange | None = None  # what the network gives for the data
    reference: Calculator | None = None
    orientations: Orientations | None = (
        None  # over which a model file averages that is exported again
    )
    # "name", "unit", "pooling" of numbers per structure, and what gives them
    # (mlip_engines.model.structure_properties)
    properties: list[dict[str, str]] = field(default_factory=list)
    property_reader: nn.Module | None = None


def checkpoint_readers() -> dict[str, Callable[[Path], Exportable]]:
    """Return the installed readers by the kind of checkpoint they read."""
    found = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    return {entry.name: entry.load() for entry in found}


def open_checkpoint(path: str | Path) -> Exportable:
    """Read a checkpoint with the first installed reader that knows its kind.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If no reader knows the file, or the one that does cannot read it.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"expected a checkpoint, found nothing at {path}")
    refusals = []
    for kind, read in checkpoint_readers().items():
        try:
            return read(path)
        except NotThisKind as e:
            refusals.append(f"{kind}: {e}")
    if not refusals:
        raise ValueError(
            f"{path}: no reader of checkpoints is installed, not even that of mlip-train; install this package again "
            "(pip install mlip-engines), or name the package that the file comes from with --from"
        )
    raise ValueError(
        f"{path}: none of the installed readers knows this file; for a file of another package use --from.\n  "
        + "\n  ".join(refusals)
    )


def export_checkpoint(
    checkpoint: str | Path,
    output: str | Path,
    dtype: str = "float32",
    *,
    inner: str | Path | Exportable | None = None,
    name: str | None = None,
    short_range: str = "zbl",
    shortest: dict[str, float] | None = None,
    data: Sequence[Atoms] = (),
    compare: bool = True,
    compare_on: Sequence[Atoms] = (),
    orientations: Orientations | None = None,
) -> ModelMetadata:
    """Turn a checkpoint, of any kind that is installed, into a model file.

    Parameters
    ----------
    checkpoint : str or Path
    output, dtype, inner, name, short_range, shortest, data, compare, compare_on, orientations
        As for :func:`export_network`.

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
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    return export_network(
        open_checkpoint(checkpoint),
        output,
        dtype,
        inner=inner,
        name=name,
        short_range=short_range,
        shortest=shortest,
        data=data,
        compare=compare,
        compare_on=compare_on,
        orientations=orientations,
    )


def export_network(
    exportable: Exportable,
    output: str | Path,
    dtype: str = "float32",
    *,
    inner: str | Path | Exportable | None = None,
    name: str | None = None,
    short_range: str = "zbl",
    shortest: dict[str, float] | None = None,
    data: Sequence[Atoms] = (),
    compare: bool = True,
    compare_on: Sequence[Atoms] = (),
    orientations: Orientations | None = None,
) -> ModelMetadata:
    """Write the model file of a network.

    Parameters
    ----------
    exportable : Exportable
    output : str or Path
        Replaced only when everything has worked.
    dtype : {"float32", "float64"}
        In which the network computes; sums and derivatives are float64 in either.
    inner : str, Path or Exportable, optional
        A second network, or its checkpoint; its non-conservative forces take the place of the first one's.
    name : str, optional
        Of the model; by default that of the exportable.
    short_range : {"zbl", "none"}
        Whether a screened nuclear repulsion takes over below the shortest distances of the data
        (:mod:`mlip_engines.model.short_range`). Without it nothing stops two atoms that come too close.
    shortest : dict of str to float, Å, optional
        Distances such as ``{"H-O": 0.76}`` that count instead of those of the exportable. A pair that is in neither
        gets a part of the sum of its covalent radii, with a warning.
    data : sequence of Atoms, optional
        The training structures. What the network gives for them counts instead of the exportable's ``data_range``
        (:mod:`mlip_engines.model.data_range`).
    compare : bool
        Whether the file is compared with the calculator of the package that the network comes from, if there is one.
        The differences go into the metadata.
    compare_on : sequence of Atoms, optional
        Structures to compare on besides a small cluster and a small cell.
    orientations : Orientations, optional
        That the answers of the file shall be averaged over (:mod:`mlip_engines.model.symmetrised`); an evaluation
        costs so many times more.

    Returns
    -------
    ModelMetadata
        As written, checksum included.

    Raises
    ------
    ValueError
        If the two networks do not fit each other.
    ModelContractError
        If the network breaks the contract, or the file gives other numbers than the network or its reference.
    """
    import torch
    from ase.data import atomic_numbers

    from mlip_engines.conformance.comparison import compare_with_reference
    from mlip_engines.model.export import export_model

    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if short_range not in SHORT_RANGE:
        raise ValueError(
            f"short_range must be one of {', '.join(SHORT_RANGE)}, got {short_range!r}"
        )
    if "energy" not in getattr(exportable.network, "heads", ["energy"]):
        raise ValueError(
            f"{exportable.name}: the network gives forces and no energy that is a sum over atoms, so it cannot be a "
            "model by itself; take it as the inner force of another one: --inner FILE --inner-from NAME"
        )
    network = exportable.network.to(getattr(torch, dtype))
    exportable = replace(exportable, network=network)
    reader = exportable.property_reader
    if reader is not None:
        reader = reader.to(getattr(torch, dtype))
    if inner is not None:
        exportable = _with_inner_force(exportable, inner, dtype)
        network = exportable.network
    foreign = sorted(set(exportable.species) - set(atomic_numbers))
    if foreign:
        raise ModelContractError(f"{exportable.name}: {foreign} are no chemical symbols")
    if short_range == "zbl":
        if len(data) > 0:
            from mlip_engines.model.data_range import observed_range

            observed = observed_range(network, data, exportable.scale)
            exportable = replace(exportable, data_range=observed)
        walled = _with_short_range(exportable, shortest or {})
    elif shortest or len(data) > 0:
        raise ValueError("shortest distances go with short_range='zbl', got 'none'")
    else:
        walled = network
    orientations = orientations or exportable.orientations
    if orientations is not None:
        from mlip_engines.model.symmetrised import Symmetrised

        walled = Symmetrised(walled, orientations)
    output = Path(output)
    metadata = ModelMetadata(
        name=name or exportable.name or output.stem,
        species=list(exportable.species),
        cutoff=network.cutoff,
        message_passing_layers=network.message_passing_layers,
        interaction_range=network.cutoff * network.message_passing_layers,
        heads=list(network.heads),
        dtype=dtype,
        training=exportable.training,
        errors=exportable.errors,
        errors_by=exportable.errors_by,
        card=exportable.card,
        licence=exportable.licence,
        citation=exportable.citation,
    )
    unchecked = output.with_name(output.name + ".unchecked")
    how = {"reference_energies": exportable.reference_energies, "scale": exportable.scale}
    try:
        if compare and exportable.reference is not None:  # which knows no repulsion of ours
            bare = export_model(network, metadata, unchecked, **how)
            agreement = compare_with_reference(unchecked, bare, exportable.reference, compare_on)
            metadata = replace(metadata, comparison=agreement.as_metadata())
        metadata = replace(metadata, properties=list(exportable.properties))
        metadata = export_model(walled, metadata, unchecked, reader=reader, **how)
        os.replace(unchecked, output)
    finally:
        unchecked.unlink(missing_ok=True)
    return metadata


def _with_short_range(exportable: Exportable, shortest: dict[str, float]) -> nn.Module:
    """Return the network with a repulsion below the shortest distances of its data."""
    from ase.data import atomic_numbers, covalent_radii

    from mlip_engines.model.short_range import WithShortRange, numbers_of_pair, pair_name

    given = {pair_name(*numbers_of_pair(name)): value for name, value in shortest.items()}
    known = {**exportable.shortest_distances, **given}
    numbers = [atomic_numbers[symbol] for symbol in exportable.species]
    pairs = {pair_name(i, j): (i, j) for i in numbers for j in numbers}
    foreign = sorted(set(given) - set(pairs))
    if foreign:
        raise ValueError(
            f"expected shortest distances between {', '.join(exportable.species)}, got {', '.join(foreign)}"
        )
    guessed = sorted(set(pairs) - set(known))
    if guessed:
        shown = ", ".join(guessed[:6]) + (f" and {len(guessed) - 6} more" if guessed[6:] else "")
        warnings.warn(
            f"the shortest distances of {shown} in the training data are unknown: {_OF_COVALENT_RADII} times the sum "
            "of the covalent radii is taken; give better ones with --shortest",
            stacklevel=3,
        )
    cutoff = exportable.network.cutoff
    chosen = {
        name: known.get(name, _OF_COVALENT_RADII * float(covalent_radii[[i, j]].sum()))
        for name, (i, j) in sorted(pairs.items())
    }
    return WithShortRange(
        exportable.network,
        {name: value for name, value in chosen.items() if value < cutoff or name in given},
        exportable.scale,
        exportable.data_range,
    )


def _without_head(errors_by: dict[str, Any]) -> dict[str, Any]:
    """Return errors by element and kind without those of a head that another network replaces."""
    return {
        part: {
            name: {key: value for key, value in values.items() if "non_conservative" not in key}
            for name, values in rows.items()
        }
        for part, rows in errors_by.items()
    }


def _with_inner_force(
    exportable: Exportable, inner: str | Path | Exportable, dtype: str
) -> Exportable:
    """Return the network with another's non-conservative forces, and what is known of both."""
    import torch

    from mlip_engines.model.inner_force import WithInnerForce

    small = inner if isinstance(inner, Exportable) else open_checkpoint(inner)
    missing = sorted(set(exportable.species) - set(small.species))
    if missing:
        raise ValueError(
            f"{small.name or inner}: the inner network does not know {', '.join(missing)}; train it on all of "
            f"{', '.join(exportable.species)}"
        )
    network = small.network.to(getattr(torch, dtype))
    # Errors of the replaced head, and its distance from C, say nothing about this model.
    kept = {
        key: value
        for key, value in exportable.errors.items()
        if "non_conservative" not in key and "c_minus_nc" not in key
    }
    return replace(
        exportable,
        network=WithInnerForce(exportable.network, network, small.scale / exportable.scale),
        training={**exportable.training, "inner": small.training},
        # of the energy's data: the inner force may have seen fewer structures
        shortest_distances=exportable.shortest_distances or small.shortest_distances,
        errors=kept,
        errors_by=_without_head(exportable.errors_by),
        card=with_another_inner_force(exportable.card),
    )
