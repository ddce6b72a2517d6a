"""What a checkpoint says of its run, besides the weights; it becomes the metadata of the model file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ase.data import atomic_numbers as number_of

from mlip_engines.model.data_range import DataRange
from mlip_engines.properties.by_element import ElementErrors
from mlip_engines.properties.by_structure import KindErrors
from mlip_engines.properties.errors import named_as_metadata
from mlip_engines.units import MEV_PER_EV
from mlip_train.loop.sources import Sources
from mlip_train.networks import network_class
from mlip_train.recipe import Recipe


def record_of(
    recipe: Recipe,
    network: dict[str, Any],
    references: dict[str, float],
    scale: float,
    sources: Sources,
    counts: dict[str, int],
    data_range: DataRange,
    *,
    is_empirical: bool = False,
) -> dict[str, Any]:
    """Return the record of a run.

    Parameters
    ----------
    recipe : Recipe
    network : dict
        Settings, with the species.
    references : dict of str to float, eV
        Reference energy of each element.
    scale : float, eV/Å
    sources : Sources
    counts : dict of str to int
        Structures in each set: ``train``, ``validation``, ``test`` and, if there are any, ``unlabelled`` and
        ``replay``.
    data_range : DataRange
        What the run to start from has given for its data. At the end of the run its own is included.
    is_empirical : bool
        Whether the range and the shortest distances, which are added later, come from labels of an empirical potential
        alone.
    """
    training = {
        "network": network,
        "data": ", ".join(path.name for path in sources.data.paths()),
        "source": recipe.metadata.get("source", ""),
        "split_seed": recipe.split_seed,
        **{f"n_{name}": count for name, count in counts.items()},
        **sources.hashes(),
        "shortest_distances": {},
        **named_in_record(data_range),
    }
    # said only where it is so
    if is_empirical:
        training["empirical_range"] = True
    if getattr(network_class(network), "is_empirical", False):
        training["empirical"] = True
    metadata = {
        "name": recipe.name,
        "species": sorted(references, key=lambda symbol: number_of[symbol]),
        "licence": recipe.metadata.get("licence", ""),
        "citation": recipe.metadata.get("citation", ""),
        "training": training,
        "errors": {},
        "errors_by": {},
        "card": dict(recipe.card),
    }
    return {
        "network": network,
        "recipe": recipe.as_dict(),
        "reference_energies": references,
        "scale": scale,
        "metadata": metadata,
    }


def named_in_record(data_range: DataRange) -> dict[str, Any]:
    """Return a range under the names that it has in a record: eV and eV/Å by element."""
    return {"energy_range": data_range.energies, "largest_forces": data_range.forces}


def range_in_record(training: dict[str, Any]) -> DataRange:
    """Return the range of a record; empty in one of a run that has not ended."""
    return DataRange(training.get("energy_range"), training.get("largest_forces"))


def errors_in_ev(errors: dict[str, float]) -> dict[str, float]:
    """Rename test errors the way metadata name them, in eV per atom, eV/Å and eV/Å^3 per component."""
    return {name: value / MEV_PER_EV for name, value in named_as_metadata(errors).items()}


def errors_by_part(
    elements: Sequence[ElementErrors], kinds: Sequence[KindErrors]
) -> dict[str, dict[str, dict[str, float]]]:
    """Return test errors by element and by ``config_type`` for the metadata, where there are several.

    Energies are in eV/atom, forces in eV/Å per component; what is unknown is left out.
    """
    by_element = {
        each.symbol: {
            "conservative_rmse": each.conservative_rmse,
            "non_conservative_rmse": each.non_conservative_rmse,
        }
        for each in elements
    }
    by_kind = {
        each.name: {
            "structures": each.n_structures,
            "energy_rmse": each.energy_rmse,
            "conservative_rmse": each.force_rmse,
        }
        for each in kinds
    }
    return {
        title: {
            name: {key: value for key, value in values.items() if value is not None}
            for name, values in rows.items()
        }
        for title, rows in (("element", by_element), ("config_type", by_kind))
        if len(rows) > 1
    }
