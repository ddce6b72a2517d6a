"""What a checkpoint says of its run, besides the weights; it becomes the metadata of the model file."""

from __future__ import annotations

from typing import Any

from ase.data import atomic_numbers as number_of

from mlip_engines.model.data_range import DataRange
from mlip_engines.properties.errors import named_as_metadata
from mlip_engines.units import MEV_PER_EV
from mlip_train.loop.sources import Sources
from mlip_train.recipe import Recipe


def record_of(
    recipe: Recipe,
    network: dict[str, Any],
    references: dict[str, float],
    scale: float,
    sources: Sources,
    counts: dict[str, int],
    shortest: dict[str, float],
    data_range: DataRange,
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
    shortest : dict of str to float, Å
        Shortest distance of each pair of elements among the structures to train on.
    data_range : DataRange
        What the run to start from has given for its data. At the end of the run its own is included.
    """
    training = {
        "network": network,
        "data": ", ".join(path.name for path in sources.data.paths()),
        "source": recipe.metadata.get("source", ""),
        "split_seed": recipe.split_seed,
        **{f"n_{name}": count for name, count in counts.items()},
        **sources.hashes(),
        "shortest_distances": shortest,
        **named_in_record(data_range),
    }
    metadata = {
        "name": recipe.name,
        "species": sorted(references, key=lambda symbol: number_of[symbol]),
        "licence": recipe.metadata.get("licence", ""),
        "citation": recipe.metadata.get("citation", ""),
        "training": training,
        "errors": {},
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
