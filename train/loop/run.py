"""A training run from recipe and files to a checkpoint, a table and a page about it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ase.data import atomic_numbers as number_of
from torch import nn

from mlip_engines.labels.composition import fit_composition, force_scale
from mlip_engines.readers import check_units
from mlip_train.data.dataset import duplicate_indices, file_hash, split_indices
from mlip_train.data.files import read_checked
from mlip_train.data.loading import PreparedStructures, Selection
from mlip_train.loop.checkpoint import read_checkpoint
from mlip_train.loop.metrics import evaluate
from mlip_train.loop.report import write_report
from mlip_train.loop.start import Start, baseline_by_number, merged_references, read_start
from mlip_train.loop.trainer import Trainer
from mlip_train.machine.environment import add_environment
from mlip_train.machine.processes import Processes
from mlip_train.networks import build_network
from mlip_train.recipe import Recipe


@dataclass(frozen=True)
class Machine:
    """How a run uses its machine; none of it changes the numbers but the device, by rounding."""

    device: str = "auto"  # cpu, cuda, auto
    workers: int = 0  # processes that make neighbour lists
    is_lazy: bool = False  # structures and neighbour lists are not kept in memory


def train(
    recipe: Recipe,
    data: str | Path,
    output: Path,
    *,
    start: str | Path | None = None,
    unlabelled: str | Path | None = None,
    units: str | None = None,
    resume: bool = False,
    machine: Machine | None = None,
) -> None:
    """Train one recipe on one file, or one folder of DeePMD-kit.

    The folder receives ``recipe.json``, ``split.json``, ``environment.json``, ``checkpoint.pt``, ``metrics.csv`` and,
    at the end, ``test.json`` and ``report.html``. With ``start``, the averaged weights, reference energies and scale of
    another run's checkpoint, or of a model exported from one, are taken over. ``units`` are those of files that do not
    state theirs, see :func:`mlip_engines.readers.read_structures`; without, ``metal``, provided that the distances
    agree.
    Warnings about the labels go to standard error.

    Raises
    ------
    FileExistsError
        If the folder holds a run and ``resume`` is not set.
    ValueError
        If the data or the recipe cannot be right, the run to resume was of another recipe, or the run to start
        from of another network.
    """
    machine = machine or Machine()
    needs_unlabelled = _check_arguments(recipe, data, start, unlabelled, units)
    processes = Processes(machine.device)
    try:
        before = _open_folder(output, processes, resume=resume)
        torch.manual_seed(recipe.seed)
        store = output / "structures" if machine.is_lazy else None
        frames = read_checked(data, units, processes, store=store)
        split = split_indices(
            len(frames),
            recipe.n_validation,
            recipe.n_test,
            recipe.split_seed,
            duplicate_indices(frames),
        )
        origin, references, scale = _origin(
            recipe, Selection(frames, split["train"]), before, start, output if resume else start
        )
        network, settings = _network(recipe, references, origin, output if resume else start)
        structures = {
            name: PreparedStructures(
                Selection(frames, indices),
                network.cutoff,
                is_kept=not (machine.is_lazy and name == "train"),  # the others are small
                workers=machine.workers,
            )
            for name, indices in split.items()
        }
        if needs_unlabelled:
            store = output / "unlabelled" if machine.is_lazy else None
            pool = read_checked(unlabelled, units, processes, labels=False, store=store)
            structures["unlabelled"] = PreparedStructures(
                pool, network.cutoff, is_kept=not machine.is_lazy, workers=machine.workers
            )
        _check_stress(recipe, structures["train"], data)
        record = {
            "network": settings,
            "recipe": recipe.as_dict(),
            "reference_energies": references,
            "scale": scale,
            "metadata": _metadata(recipe, settings, references, structures, data),
        }
        for name, file in (("start", start), ("unlabelled", unlabelled)):
            if file is not None:
                record["metadata"]["training"][f"{name}_sha256"] = file_hash(file)
        if before is not None:
            _check_same_data(record["metadata"]["training"], before["metadata"]["training"], output)
            record["metadata"] = before["metadata"]
        baseline = baseline_by_number(references)
        trainer = Trainer(recipe, network, structures, baseline, scale, record, output, processes)
        if before is not None:
            trainer.resume(before)
        elif origin is not None:
            trainer.start_from(origin.weights)
        if processes.is_first:
            if before is None:
                (output / "split.json").write_text(json.dumps(split))
                (output / "recipe.json").write_text(json.dumps(recipe.as_dict(), indent=2))
            add_environment(output / "environment.json", processes, machine.workers)
        trainer.run()
        if processes.is_first:
            arguments = trainer.average, structures["test"], baseline, scale
            errors = evaluate(*arguments, differentiate=True)
            record["metadata"]["errors"] = _errors_in_ev(errors)
            trainer.save()
            (output / "test.json").write_text(json.dumps(errors, indent=2))
            write_report(output, recipe, trainer.history, errors, *arguments)
            print(json.dumps(errors, indent=2))
        processes.wait()
    finally:
        processes.close()


def _check_arguments(
    recipe: Recipe,
    data: str | Path,
    start: str | Path | None,
    unlabelled: str | Path | None,
    units: str | None,
) -> bool:
    """Refuse what does not fit together; return whether structures without labels are needed."""
    stages = [stage.name for stage in recipe.stages if stage.unlabelled_steps > 0.0]
    if stages and unlabelled is None:
        raise ValueError(
            f"stages {stages} use structures without labels; name a file with --unlabelled"
        )
    if unlabelled is not None and not stages:
        raise ValueError(
            f"no stage of this recipe uses structures without labels, got --unlabelled {unlabelled}; give a stage "
            "unlabelled_steps, or leave it out"
        )
    files = [data, unlabelled] if stages else [data]
    check_units(units, *files)
    if not recipe.network and start is None:
        raise ValueError(
            f"the recipe {recipe.name} has no network of its own; name a run to start from with --from"
        )
    return bool(stages)


def _open_folder(output: Path, processes: Processes, *, resume: bool) -> dict[str, Any] | None:
    """Return the state to resume, None for a new run."""
    checkpoint = output / "checkpoint.pt"
    if checkpoint.exists() and not resume:
        raise FileExistsError(f"{output} holds a run; continue it with --resume or choose another")
    if resume and not checkpoint.exists():
        raise FileNotFoundError(f"expected a run to resume, found no {checkpoint}")
    processes.wait()
    output.mkdir(parents=True, exist_ok=True)
    if not resume:
        return None
    state = read_checkpoint(checkpoint)
    if "history" not in state:
        raise ValueError(
            f"{output}: expected a run of this version to resume, got an older one; begin another with "
            f"--from {checkpoint}"
        )
    return state


def _origin(
    recipe: Recipe,
    training: Selection,
    before: dict[str, Any] | None,
    start: str | Path | None,
    where: str | Path | None,
) -> tuple[Start | None, dict[str, float], float]:
    """Return what to start from, reference energies and scale: of the run before if there is one, else of the data."""
    fitted = fit_composition(training)
    if before is not None:
        if before["recipe"] != recipe.as_dict():
            raise ValueError(f"{where}: expected the recipe of the run to resume, got another")
        references = before["reference_energies"]
        merged_references(references, fitted, refit=False, where=where)
        origin = Start(before["network"], references, before["scale"], before["average"])
        return origin, references, before["scale"]
    if start is None:
        return None, fitted, force_scale(training)
    origin = read_start(start)
    references = merged_references(
        origin.reference_energies, fitted, refit=recipe.refit_composition, where=where
    )
    return origin, references, origin.scale


def _network(
    recipe: Recipe,
    references: dict[str, float],
    origin: Start | None,
    where: str | Path | None,
) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network and its settings: those of the recipe, or of the origin where the recipe has none."""
    species = sorted(number_of[symbol] for symbol in references)
    settings = {**recipe.network, "species": species} if recipe.network else origin.network
    if origin is not None and origin.network != settings:
        raise ValueError(
            f"{where}: expected the network of the recipe, {settings}; got {origin.network}"
        )
    return build_network(settings), settings


def _check_stress(recipe: Recipe, training: PreparedStructures, data: str | Path) -> None:
    """Refuse a recipe that learns stress from data that have none."""
    stages = [stage.name for stage in recipe.stages if stage.weights.uses_stress]
    if stages and not any(
        atoms.pbc.all() and "stress" in atoms.calc.results for atoms in training.frames
    ):
        raise ValueError(
            f"{data}: stages {stages} use stress; expected at least one periodic structure with stress=... in eV/Å^3 "
            "among those to train on, got none"
        )


def _check_same_data(now: dict[str, Any], before: dict[str, Any], output: Path) -> None:
    """Refuse to resume with other data: the split would mean other structures."""
    for name in ("data_sha256", "unlabelled_sha256"):
        if now.get(name) != before.get(name):
            raise ValueError(
                f"{output}: expected the data of the run to resume, got another or changed file ({name}); give the "
                "same, or begin another run with --from"
            )


def _metadata(
    recipe: Recipe,
    settings: dict[str, Any],
    references: dict[str, float],
    structures: dict[str, PreparedStructures],
    data: str | Path,
) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "species": sorted(references, key=lambda symbol: number_of[symbol]),
        "licence": recipe.metadata.get("licence", ""),
        "citation": recipe.metadata.get("citation", ""),
        "training": {
            "network": settings,
            "data": Path(data).name,
            "data_sha256": file_hash(data),
            "source": recipe.metadata.get("source", ""),
            "split_seed": recipe.split_seed,
            **{f"n_{name}": len(items) for name, items in structures.items()},
        },
        "errors": {},
    }


def _errors_in_ev(errors: dict[str, float]) -> dict[str, float]:
    """Rename test errors the way metadata name them, in eV per atom, eV/Å and eV/Å^3 per component."""
    result = {name: 1e-3 * value for name, value in errors.items() if "c_minus_nc" not in name}
    if "c_minus_nc_rmse" in errors:
        result["rms_c_minus_nc"] = 1e-3 * errors["c_minus_nc_rmse"]
    return result
