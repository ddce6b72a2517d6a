"""What a network is trusted with: distances and energies that more than an empirical potential has taught it.

The short-range repulsion of a model file begins at these distances, and its floor of the energy lies below these
energies. A network that was pre-trained on close pairs with labels of an empirical potential (Zheng, Fung, Improving
reliability of machine learned interatomic potentials with physics-informed pretraining) has seen far shorter distances
than any data have, and after fine-tuning it is not right there: a file that trusted it would hardly be protected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ase import Atoms

from mlip_engines.labels.empirical import without_empirical_labels
from mlip_engines.model.data_range import DataRange
from mlip_train.loop.start import Start
from mlip_train.recipe import Recipe


@dataclass(frozen=True)
class Trust:
    """What a run takes over, and whether all that there is comes from an empirical potential."""

    shortest: dict[str, float] = field(default_factory=dict)  # Å by pair
    data_range: DataRange = field(default_factory=DataRange)
    is_empirical: bool = False
    note: str = ""  # for the user; empty if there is nothing to say

    def with_distances(self, found: dict[str, float]) -> dict[str, float]:
        """Return the shorter of the distances taken over and those of the data, Å by pair."""
        pairs = {**self.shortest, **found}
        return {pair: min(self.shortest.get(pair, d), d) for pair, d in pairs.items()}


def trust_of(recipe: Recipe, training: Sequence[Atoms], origin: Start | None) -> Trust:
    """Return what a new run takes over from the one that it starts from.

    That is everything, as old structures are still known after fine-tuning on others (a universal model, with or
    without replay), unless all of it comes from labels of an empirical potential and these data have better ones.
    ``range_of_start`` of the recipe decides otherwise.

    Parameters
    ----------
    recipe : Recipe
    training : sequence of ase.Atoms
        To train on.
    origin : Start or None
        What the run starts from.
    """
    is_empirical = len(training) > 0 and not without_empirical_labels(training)
    if origin is None:
        return Trust(is_empirical=is_empirical)
    forgets = recipe.range_of_start == "forget" or (
        recipe.range_of_start == "auto" and origin.is_empirical and not is_empirical
    )
    if not forgets:
        both = is_empirical and origin.is_empirical
        return Trust(origin.shortest, origin.data_range, both)
    why = (
        "the structures of the run to start from have labels of an empirical potential"
        if recipe.range_of_start == "auto"
        else "range_of_start is forget"
    )
    note = (
        f"{why}: the short-range repulsion and the range of energies of the model file are those of these data alone; "
        "range_of_start: keep in the recipe also trusts what was seen before"
    )
    return Trust(is_empirical=is_empirical, note=note)


def measured(training: Sequence[Atoms], record: dict[str, Any]) -> list[int]:
    """Return the indices of structures whose distances and energies a network is trusted with after training on them.

    Parameters
    ----------
    training : sequence of ase.Atoms
    record : dict
        ``training`` of the metadata of the run, which knows what it has taken over.

    Returns
    -------
    list of int
        Those without labels of an empirical potential; all, if it has nothing better.
    """
    better = without_empirical_labels(training)
    if better or not record.get("empirical_range", False):
        return better
    return list(range(len(training)))
