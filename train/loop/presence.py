"""Whether the structures to train on have the labels that a recipe learns from."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from ase import Atoms

from mlip_engines.labels.isolated import config_type
from mlip_engines.labels.undisplaced import undisplaced
from mlip_train.data.structure import PERTURBATION_SKIN
from mlip_train.loss_weights import LossWeights
from mlip_train.recipe import Recipe

SLOPE = "non_conservative_slope"
_EXPECTED = {
    "energy": "energy=... in eV",
    "forces": "a column forces:R:3 in eV/Å",
    "stress": "stress=... in eV/Å^3 and periodicity in all three directions",
}


def check_labels_for(recipe: Recipe, training: Iterable[Atoms], source: object) -> None:
    """Refuse a recipe that learns from labels which no structure has.

    Parameters
    ----------
    recipe : Recipe
    training : iterable of ase.Atoms
    source : object
        The file or files, for the message.

    Raises
    ------
    ValueError
        Naming the label, the stages that use it and how to do without.
    """
    missing = set(_EXPECTED)
    for atoms in training:
        labels = {} if atoms.calc is None else atoms.calc.results
        missing -= {name for name in labels if name != "stress" or atoms.pbc.all()}
        if not missing:
            return
    for name in sorted(missing):
        stages = {s.name: _terms(s.weights, name) for s in recipe.stages}
        stages = {stage: terms for stage, terms in stages.items() if terms}
        if stages:
            terms = sorted({term for used in stages.values() for term in used})
            raise ValueError(
                f"{source}: stages {list(stages)} use {name}; expected at least one structure with {_EXPECTED[name]} "
                f"among those to train on, got none; set the weights {terms} to 0, or name the label with --{name}-key"
            )
        if name == "energy" and any(stage.negative_steps > 0.0 for stage in recipe.stages):
            raise ValueError(
                f"{source}: negative_steps compare with energies; no structure to train on has one; set them to 0"
            )


def _terms(weights: LossWeights, label: str) -> list[str]:
    """Return the terms of a loss that compare with a label."""
    terms = {
        "energy": ["energy"],
        "forces": ["conservative", "non_conservative", "non_conservative_slope"],
        "stress": ["stress", "non_conservative_stress"],
    }[label]
    return [term for term in terms if getattr(weights, term) > 0.0]


def check_types(recipe: Recipe, structures: Iterable[Atoms], source: object) -> None:
    """Refuse weights for a ``config_type`` that no structure has: it is spelled in another way.

    Raises
    ------
    ValueError
        Naming those that there are.
    """
    if not recipe.config_type_weights:
        return
    known = {config_type(atoms) for atoms in structures}
    unknown = sorted(set(recipe.config_type_weights) - known)
    if unknown:
        raise ValueError(
            f"{source}: config_type_weights: expected kinds of structures in the data, {sorted(known - {''})}; got "
            f"{unknown}"
        )


def check_pairs(
    recipe: Recipe, training: Iterable[Atoms], source: object, *, must_have: bool = True
) -> None:
    """Refuse a recipe that learns how forces change along displacements which no structure has.

    Parameters
    ----------
    recipe : Recipe
    training : iterable of ase.Atoms
    source : object
        Where they are from, for messages.
    must_have : bool
        Whether some must be displaced copies; replayed structures need not.

    Raises
    ------
    ValueError
        If no structure to train on is a displaced copy that says of what, or one is displaced too far.
    """
    if not any(getattr(stage.weights, SLOPE) > 0.0 for stage in recipe.stages):
        return
    limit, found = 0.5 * PERTURBATION_SKIN, 0
    for atoms in training:
        before = undisplaced(atoms)
        if before is None or atoms.calc is None or "forces" not in atoms.calc.results:
            continue
        moved = float(np.linalg.norm(atoms.positions - before.positions, axis=1).max())
        if moved > limit:
            raise ValueError(
                f"{source}: {SLOPE}: expected copies whose atoms are displaced by {limit:g} Å at most, got {moved:.3g} "
                "Å; label copies with a smaller --displacement, and do not wrap positions afterwards"
            )
        found += moved > 0.0
    if must_have and not found:
        raise ValueError(
            f"{source}: {SLOPE}: expected displaced copies that say where their atoms were, as mlip-label --copies "
            f"writes them, got none (with --lazy they are not kept); label some, or set {SLOPE} to 0"
        )
