"""Where a run begins other than with random weights: a checkpoint, or an exported model."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.data import atomic_numbers as number_of
from torch import Tensor, nn

from mlip_engines.labels.composition import energy_scale, fit_composition, force_scale
from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.data_range import DataRange
from mlip_engines.model.evaluation import trained_network_of
from mlip_engines.model.load import load_model, read_metadata
from mlip_train.data.loading import Selection
from mlip_train.data.references import elements_of, references_of
from mlip_train.data.structure import TrainingStructure
from mlip_train.loop.checkpoint import read_checkpoint
from mlip_train.loop.metrics import compared
from mlip_train.loop.record import range_in_record
from mlip_train.loss_weights import LossWeights
from mlip_train.networks import network_class, stored_settings
from mlip_train.recipe import Recipe, Stage

_EVALUATED = 100  # structures
_COARSE = 5.0  # times the RMS force of the data


@dataclass(frozen=True)
class Start:
    """What a run takes over from another."""

    network: dict[str, Any]  # settings, with the species
    reference_energies: dict[str, float]  # eV per atom of an element
    scale: float  # eV/Å
    weights: dict[str, Tensor]
    shortest: dict[str, float] = field(
        default_factory=dict
    )  # Å by pair, of its data; empty if unknown
    data_range: DataRange = field(default_factory=DataRange)  # what it gives for its data
    is_empirical: bool = False  # whether both come from labels of an empirical potential alone


def read_start(path: str | Path) -> Start:
    """Read the averaged weights of a checkpoint, or those of a model file that mlip-export wrote from one.

    A model file is a TorchScript program, which gives its author the right to run code: use only what you trust.
    A checkpoint holds tensors and plain values, and is read as such.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is neither, or a model file that does not say of which network it is.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a checkpoint or a model file, found nothing at {path}")
    try:
        metadata = read_metadata(path)
    except ModelContractError as not_a_model:
        try:
            state = read_checkpoint(path)
        except ValueError as e:
            raise ValueError(
                f"{path}: expected a checkpoint of mlip-train or a model file; not the first ({e}), not the second "
                f"({not_a_model})"
            ) from e
        return Start(
            state["network"],
            dict(state["reference_energies"]),
            state["scale"],
            state["average"],
            dict(state["metadata"]["training"].get("shortest_distances", {})),
            range_in_record(state["metadata"]["training"]),
            bool(state["metadata"]["training"].get("empirical_range", False)),
        )
    if "network" not in metadata.training:
        raise ValueError(
            f"{path}: the model file does not say what its network was built from; start from the checkpoint of its "
            "run, or export that again"
        )
    module = load_model(path).module
    # Of a model with the inner force of another network, the one that has the energy.
    network = trained_network_of(module, metadata)
    network = network.outer if "inner" in metadata.training else network
    return Start(
        stored_settings(metadata.training["network"]),
        dict(metadata.reference_energies),
        float(module.scale),
        dict(network.state_dict()),
        # of its data; a file of earlier versions says only where its repulsion begins
        dict(metadata.training.get("shortest_distances") or metadata.short_range),
        DataRange(metadata.energy_range, metadata.largest_forces),
        bool(metadata.training.get("empirical_range", False)),
    )


def find_origin(
    recipe: Recipe,
    training: Selection,
    before: dict[str, Any] | None,
    start: str | Path | None,
    where: str | Path | None,
) -> tuple[Start | None, dict[str, float], float]:
    """Return what to start from, reference energies and scale: of the run before if there is one, else of the data."""
    if before is not None:
        if not is_same_recipe(before["recipe"], recipe):
            raise ValueError(
                f"{where}: expected the recipe of the run to resume, got another: "
                f"{recipe_differences(before['recipe'], recipe)}"
            )
        references = before["reference_energies"]
        known = before.get("references_of_start", references)
        origin = Start(before["network"], known, before["scale"], before["average"])
        return origin, references, before["scale"]
    if start is None:
        fitted = references_of(training, recipe.reference_energies)
        if not getattr(network_class(recipe.network), "is_scaled", True):
            return None, fitted, 1.0
        if recipe.force_scale > 0.0:
            return None, fitted, recipe.force_scale
        has_forces = any(_has_forces(atoms) for atoms in training)
        scale = force_scale(training) if has_forces else energy_scale(training, fitted)
        return None, fitted, scale
    origin = read_start(start)
    references = merged_references(origin.reference_energies, training, recipe)
    return origin, references, origin.scale


def coarse_scale(origin: Start, training: Selection) -> str | None:
    """Return a sentence if the network to start from computes in a unit that is too large for these data.

    A step of training changes outputs by a part of the unit, so errors cannot become small against it.
    """
    if not getattr(network_class(origin.network), "is_scaled", True):
        return None
    if not any(_has_forces(atoms) for atoms in training):
        return None
    own = force_scale(training)
    if origin.scale < _COARSE * own:
        return None
    return (
        f"the network to start from computes in a unit of {origin.scale:.3g} eV/Å, the RMS force of its data; that of "
        f"these data is {own:.3g} eV/Å. Errors will stay larger than those of a network that begins anew: repeat the "
        f"run before with force_scale: {own:.3g} in its recipe"
    )


def is_same_recipe(before: dict[str, Any], recipe: Recipe) -> bool:
    """Return whether a run was begun with this recipe; settings that came later count as their defaults."""
    return _of_today(before, recipe) == _plain(recipe.as_dict())


def recipe_differences(before: dict[str, Any], recipe: Recipe) -> str:
    """Say in words which settings of a run and of a recipe differ, and what to do."""
    old, new = _of_today(before, recipe), _plain(recipe.as_dict())
    names = [name for name in new if name != "stages" and old.get(name) != new[name]]
    stages = [stage["name"] for stage in new["stages"]]
    if [stage["name"] for stage in old["stages"]] != stages:
        names.append("stages")
    else:
        for was, now in zip(old["stages"], new["stages"], strict=True):
            names += [f"{now['name']}: {key}" for key in now if was.get(key) != now[key]]
    if names and all(name.endswith(": budget_minutes") for name in names):
        return "only the minutes of its stages differ; give the --minutes that it began with"
    return (
        f"{', '.join(names)}; give the recipe that it began with (recipe.json in its folder), or begin another run "
        "with --from"
    )


def _of_today(before: dict[str, Any], recipe: Recipe) -> Any:
    """Return the recipe of a run with the settings that came later at their defaults."""
    default = Recipe(recipe.name, recipe.stages, network=recipe.network).as_dict()
    old = {**default, **before}
    # settings of stages that came later had their defaults then
    stages = []
    for stage in old["stages"]:
        known = {**asdict(LossWeights()), **stage.get("weights", {})}
        of_stage = asdict(
            Stage(stage["name"], stage["epochs"], stage["learning_rate"], LossWeights())
        )
        stages.append({**of_stage, **stage, "weights": known})
    # a recipe may have been kept as JSON, which has lists only
    return _plain({**old, "stages": stages})


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _has_forces(atoms: Atoms) -> bool:
    """Return whether there is a label of a force other than zero, as of crystals at rest and single atoms."""
    return atoms.calc is not None and bool(np.any(atoms.calc.results.get("forces", 0.0)))


def merged_references(
    before: dict[str, float], training: Sequence[Atoms], recipe: Recipe
) -> dict[str, float]:
    """Return the reference energies of a run that starts from another.

    Elements that are not in the new data keep theirs. With ``refit_composition``, as labels of another method need
    it, those of all others are those of the new data. Without, only elements that the run before did not have are
    fitted, with the energies of the others as they are.

    Parameters
    ----------
    before : dict of str to float, eV
        Of the run to start from.
    training : sequence of ase.Atoms
        The new data.
    recipe : Recipe
        Says where reference energies come from.
    """
    if recipe.reference_energies == "fit" and not recipe.refit_composition:
        if set(elements_of(training)) <= set(before):
            return before
        found = references_of(training, recipe.reference_energies)
        if any("energy" in atoms.calc.results for atoms in training if atoms.calc is not None):
            found |= fit_composition(training, before)
        return {**found, **before}
    found = references_of(training, recipe.reference_energies)
    return {**before, **found} if recipe.refit_composition else {**found, **before}


def less_what_the_network_gives(
    references: dict[str, float],
    network: nn.Module,
    structures: Sequence[TrainingStructure],
    scale: float,
    symbols: Collection[str],
) -> dict[str, float]:
    """Return reference energies for labels of another method than the network comes from.

    Reference energies that are fitted to labels alone leave the network with the mean of what it has learned before,
    some eV per atom for close pairs, to be unlearned. These are moved by the median of what is left.

    Parameters
    ----------
    references : dict of str to float, eV
        Fitted to the labels.
    network : nn.Module
        With the weights to start from.
    structures : sequence of TrainingStructure
        At most a hundred of them are evaluated.
    scale : float, eV/Å
        Unit of the network.
    symbols : collection of str
        Elements of these structures; the energies of others stay as they are.
    """
    every = max(-(-len(structures) // _EVALUATED), 1)
    chosen = [structures[k] for k in range(0, len(structures), every)]
    baseline = baseline_by_number(references)
    left = [
        label - predicted
        for found in compared(network, chosen, baseline, scale, differentiate=False)
        if "energy" in found
        for label, predicted in [found["energy"]]
    ]
    if not left or not torch.cat(left).numel():
        return references
    move = float(torch.cat(left).double().median())
    return {s: energy + move * (s in symbols) for s, energy in references.items()}


def baseline_by_number(reference_energies: dict[str, float]) -> Tensor:
    """Return reference energies (119,) by atomic number, eV, float64."""
    baseline = torch.zeros(119, dtype=torch.float64)
    for symbol, energy in reference_energies.items():
        baseline[number_of[symbol]] = energy
    return baseline
