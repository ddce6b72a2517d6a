"""A training run from recipe and files to a checkpoint, a table and a page about it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from ase.data import atomic_numbers as number_of
from torch import nn
from tqdm import tqdm

from mlip_engines.labels.isolated import config_type
from mlip_engines.labels.shortest import shortest_distances
from mlip_engines.model.data_range import observed_range
from mlip_engines.properties.by_element import ElementSums
from mlip_engines.properties.by_structure import NamedErrors, StructureErrors, errors_by_kind
from mlip_train.data.division import divide
from mlip_train.data.files import open_structures
from mlip_train.data.loading import PreparedStructures, Selection
from mlip_train.data.references import elements_of
from mlip_train.data.replay import replayed
from mlip_train.data.sets import DataFiles, open_sets
from mlip_train.data.structure_inputs import check_structure_inputs
from mlip_train.loop.constant import constant_errors, little_learned
from mlip_train.loop.empirical import read_empirical, settings_of, start_with
from mlip_train.loop.folder import check_same_data, open_folder
from mlip_train.loop.metrics import evaluate
from mlip_train.loop.presence import check_labels_for, check_pairs, check_types
from mlip_train.loop.record import (
    errors_by_part,
    errors_in_ev,
    named_in_record,
    range_in_record,
    record_of,
)
from mlip_train.loop.report import format_test_errors, write_report
from mlip_train.loop.sources import Sources
from mlip_train.loop.start import (
    Start,
    baseline_by_number,
    coarse_scale,
    find_origin,
    less_what_the_network_gives,
)
from mlip_train.loop.trainer import Trainer
from mlip_train.loop.trust import Trust, measured, trust_of
from mlip_train.machine.environment import add_environment
from mlip_train.machine.processes import Processes
from mlip_train.machine.settings import Machine
from mlip_train.networks import build_network, complete_settings
from mlip_train.networks.growth import grown_weights
from mlip_train.potentials.hybrid import WithEmpirical
from mlip_train.recipe import Recipe


def train(
    recipe: Recipe,
    data: str | Path | DataFiles,
    output: Path,
    *,
    start: str | Path | None = None,
    unlabelled: str | Path | None = None,
    empirical: str | Path | None = None,
    units: str | None = None,
    resume: bool = False,
    machine: Machine | None = None,
) -> None:
    """Train one recipe on one file or folder, or on several whose parts the user has chosen.

    The folder receives ``recipe.json``, ``split.json``, ``files.json``, ``environment.json``, ``checkpoint.pt``,
    ``metrics.csv`` and, at the end, ``test.json`` and ``report.html``. With ``start``, the averaged weights, reference
    energies and scale of another run's checkpoint, or of a model exported from one, are taken over. ``empirical`` is
    the checkpoint of a fitted empirical potential, with which that of a hybrid begins. ``units`` are those of files
    that do not state theirs, see :func:`mlip_engines.readers.read_structures`; without, ``metal``, provided that the
    distances agree (:class:`~mlip_train.data.sets.DataFiles` have units of their own). Warnings about the labels go to
    standard error.

    Raises
    ------
    FileExistsError
        If the folder holds a run and ``resume`` is not set.
    ValueError
        If the data or the recipe cannot be right, the run to resume was of another recipe, or the run to start
        from of another network.
    """
    machine = machine or Machine()
    files = DataFiles.of(data, units)
    replay = None if recipe.replay is None else recipe.replay.data
    sources = Sources(files, start, unlabelled, replay, empirical)
    sources.check(recipe)
    processes = Processes(machine.device)
    try:
        before = open_folder(output, processes, resume=resume)
        torch.manual_seed(recipe.seed)
        store = output / "structures" if machine.is_lazy else None
        frames = open_sets(files, processes, group_key=recipe.split_by, store=store)
        division = divide(
            frames,
            n_validation=recipe.n_validation,
            n_test=recipe.n_test,
            seed=recipe.split_seed,
            split_by=recipe.split_by,
        )
        split = division.parts
        if before is not None and (output / "split.json").is_file():
            split = json.loads((output / "split.json").read_text())  # that of the run, in any case
        counts = ", ".join(f"{name} {len(part)}" for name, part in split.items())
        for note in [*division.notes, f"structures: {counts}"] if processes.is_first else []:
            print(f"mlip-train: {note}", file=sys.stderr)
        trainer = _trainer(recipe, sources, frames, split, before, output, machine, processes)
        if processes.is_first:
            if before is None:
                (output / "split.json").write_text(json.dumps(split))
                (output / "recipe.json").write_text(json.dumps(recipe.as_dict(), indent=2))
            (output / "files.json").write_text(json.dumps(frames.listing(), indent=2))
            add_environment(output / "environment.json", processes, machine.workers)
        trainer.run()
        if processes.is_first:
            _finish(trainer)
        processes.wait()
    finally:
        processes.close()


def _trainer(
    recipe: Recipe,
    sources: Sources,
    frames: Sequence[Atoms],
    split: dict[str, list[int]],
    before: dict[str, Any] | None,
    output: Path,
    machine: Machine,
    processes: Processes,
) -> Trainer:
    """Return a trainer at the point where it goes on: of a new run, of one that starts from another, of one resumed."""
    where = output if before is not None else sources.start
    training = Selection(frames, split["train"])
    recipe = _without_missing_stress(recipe, training)
    origin, references, scale = find_origin(recipe, training, before, sources.start, where)
    potential = read_empirical(sources.empirical) if sources.empirical is not None else None
    doubt = None if before is not None or origin is None else coarse_scale(origin, training)
    if doubt is not None and processes.is_first:
        print(f"mlip-train: warning: {doubt}", file=sys.stderr)
    network, settings = _network(recipe, references, origin, where, potential)
    if isinstance(network, WithEmpirical):
        network.set_scale(scale)
        if potential is not None and before is None:
            start_with(network, potential, references, sources.empirical)
    structures = {
        name: PreparedStructures(
            Selection(frames, indices),
            network.cutoff,
            is_kept=not (machine.is_lazy and name == "train"),  # the others are small
            workers=machine.workers,
            type_weights=recipe.config_type_weights,
        )
        for name, indices in split.items()
    }
    is_fitted = recipe.reference_energies == "fit"  # those that are given stay as they are
    if before is None and origin is not None and recipe.refit_composition and is_fitted:
        known = origin.network["species"]
        network.load_state_dict(grown_weights(origin.weights, known, network, settings["species"]))
        references = less_what_the_network_gives(
            references, network, structures["train"], scale, set(elements_of(training))
        )
    if sources.unlabelled is not None:
        store = output / "unlabelled" if machine.is_lazy else None
        pool = open_structures(
            sources.unlabelled, sources.data.units, processes, labels=False, store=store
        )
        structures["unlabelled"] = PreparedStructures(
            pool, network.cutoff, is_kept=not machine.is_lazy, workers=machine.workers
        )
    if sources.replay is not None:
        old = open_structures(sources.replay, sources.data.units, processes)
        known = references if origin is None else origin.reference_energies
        structures["replay"] = PreparedStructures(
            replayed(old, known, references, sources.replay), network.cutoff
        )
    asked = getattr(network, "structure_inputs", [])
    check_structure_inputs(asked, frames, sources.data)
    for name in ("unlabelled", "replay"):
        if name in structures:
            check_structure_inputs(asked, structures[name].frames, getattr(sources, name))
    if "replay" in structures:
        check_pairs(recipe, structures["replay"].frames, sources.replay, must_have=False)
    check_labels_for(recipe, structures["train"].frames, sources.data)
    check_pairs(recipe, structures["train"].frames, sources.data)
    check_types(recipe, frames, sources.data)
    counts = {name: len(items) for name, items in structures.items()}
    # that of the run before is in its record
    trust = Trust()
    if before is None and processes.is_first:
        trust = trust_of(recipe, training, origin)
        if trust.note:
            print(f"mlip-train: {trust.note}", file=sys.stderr)
    record = record_of(
        recipe,
        settings,
        references,
        scale,
        sources,
        counts,
        trust.data_range,
        is_empirical=trust.is_empirical,
    )
    if before is None and processes.is_first:
        own = record["metadata"]["training"]
        chosen = Selection(training, measured(training, own))
        with tqdm(chosen, desc="shortest distances", unit="structure") as bar:
            own["shortest_distances"] = trust.with_distances(shortest_distances(bar))
        if origin is not None:
            own["range_of_start"] = "forgotten" if trust.note else "kept"
    # On resuming it is still the zero of energy of what is replayed.
    record["references_of_start"] = references if origin is None else origin.reference_energies
    if before is not None:
        check_same_data(record["metadata"]["training"], before["metadata"]["training"], output)
        record["metadata"] = before["metadata"]
    baseline = baseline_by_number(references)
    trainer = Trainer(recipe, network, structures, baseline, scale, record, output, processes)
    if before is not None:
        trainer.resume(before)
    elif origin is not None:
        trainer.start_from(
            grown_weights(origin.weights, origin.network["species"], network, settings["species"])
        )
    return trainer


def _finish(trainer: Trainer) -> None:
    """Write what the averaged network is worth on the test split, and what it gives for its training data."""
    training = trainer.record["metadata"]["training"]
    known = range_in_record(training)
    frames = trainer.structures["train"].frames
    chosen = Selection(frames, measured(frames, training))
    with tqdm(chosen, desc="range of the data", unit="structure") as bar:
        found = observed_range(trainer.average, bar, trainer.scale)
    training.update(named_in_record(known.including(found)))
    arguments = trainer.average, trainer.structures["test"], trainer.baseline, trainer.scale
    each: list[StructureErrors] = []
    elements = ElementSums()
    errors = evaluate(*arguments, differentiate=True, each=each, elements=elements)
    named = [
        NamedErrors(config_type(atoms), "", of_one)
        for atoms, of_one in zip(trainer.structures["test"].frames, each, strict=True)
    ]
    trainer.record["metadata"]["errors"] = errors_in_ev(errors)
    trainer.record["metadata"]["errors_by"] = errors_by_part(
        elements.errors(), errors_by_kind(named)
    )
    trainer.save()
    (trainer.directory / "test.json").write_text(json.dumps(errors, indent=2))
    constant = constant_errors(trainer.structures["test"], trainer.baseline)
    write_report(
        trainer.directory, trainer.recipe, trainer.progress.history, errors, constant, *arguments
    )
    print(format_test_errors(errors, len(trainer.structures["test"])))
    for sentence in little_learned(errors, constant):
        print(f"warning: {sentence}", file=sys.stderr)


def _network(
    recipe: Recipe,
    references: dict[str, float],
    origin: Start | None,
    where: str | Path | None,
    potential: dict[str, Any] | None = None,
) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network and its settings: those of the recipe, or of the origin where the recipe has none."""
    # Those of the origin keep their rows; new ones come after them.
    species = [] if origin is None else list(origin.network["species"])
    species += sorted({number_of[symbol] for symbol in references} - set(species))
    wanted = dict(recipe.network or origin.network)
    if wanted.get("empirical") is True and potential is not None:
        wanted["empirical"] = settings_of(potential)
    if wanted.get("empirical") is True and origin is not None and "empirical" in origin.network:
        wanted["empirical"] = origin.network["empirical"]  # what it stood for in the run before
    settings = complete_settings({**wanted, "species": species})
    if origin is not None and {**origin.network, "species": species} != settings:
        raise ValueError(
            f"{where}: expected the network of the recipe, {settings}; got {origin.network}"
        )
    return build_network(settings), settings


def _without_missing_stress(recipe: Recipe, training: Selection) -> Recipe:
    """Return the recipe without terms of stress, if it allows that and no structure has one."""
    uses = any(stage.weights.uses_stress for stage in recipe.stages)
    if (
        not recipe.stress_where_labelled
        or not uses
        or any(a.pbc.all() and a.calc is not None and "stress" in a.calc.results for a in training)
    ):
        return recipe
    stages = [
        replace(stage, weights=replace(stage.weights, stress=0.0, non_conservative_stress=0.0))
        for stage in recipe.stages
    ]
    return replace(recipe, stages=stages)
