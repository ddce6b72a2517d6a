"""The command ``mlip-train``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from ase import Atoms
from ase.data import atomic_numbers as number_of

from train.checkpoint import read_checkpoint
from train.composition import fit_composition, force_scale
from train.dataset import duplicate_indices, file_hash, prepare, split_indices
from train.labels import check_geometry, check_labels, implausible_lengths
from train.metrics import evaluate
from train.models import build_network
from train.processes import Processes
from train.readers import has_own_units, read_structures
from train.recipe import Recipe, read_recipe
from train.trainer import Trainer


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-train RECIPE --data FILE -o DIR``; the options are in its help."""
    parser = argparse.ArgumentParser(
        prog="mlip-train", description="Train a network with conservative and direct forces."
    )
    parser.add_argument("recipe", help="YAML file, or the name of one that comes with the package")
    parser.add_argument(
        "--data",
        required=True,
        help="structures with energies and forces: extended XYZ or another format of ASE, ASE database, "
        "input.data of n2p2, also compressed; or a folder of DeePMD-kit",
    )
    parser.add_argument("-o", "--output", required=True, type=Path, help="folder of the run")
    parser.add_argument(
        "--from", dest="start", help="checkpoint.pt of another run, to begin with its weights"
    )
    parser.add_argument(
        "--unlabelled", help="structures without labels, for the match of the heads; same formats"
    )
    parser.add_argument(
        "--units",
        choices=["metal", "atomic"],
        help="of input.data, which does not state them: Å and eV (default), or bohr and hartree",
    )
    parser.add_argument("--resume", action="store_true", help="continue the run in this folder")
    options = parser.parse_args(arguments)
    try:
        train(
            read_recipe(options.recipe),
            options.data,
            options.output,
            start=options.start,
            unlabelled=options.unlabelled,
            units=options.units,
            resume=options.resume,
        )
    except (ValueError, FileNotFoundError, FileExistsError, FloatingPointError) as e:
        print(f"mlip-train: {e}", file=sys.stderr)
        return 1
    return 0


def train(
    recipe: Recipe,
    data: str | Path,
    output: Path,
    *,
    start: str | Path | None = None,
    unlabelled: str | Path | None = None,
    units: str | None = None,
    resume: bool = False,
) -> None:
    """Train one recipe on one file, or one folder of DeePMD-kit.

    The folder receives ``checkpoint.pt``, ``metrics.csv``, ``split.json``, ``recipe.json`` and ``test.json``.
    With ``start``, the averaged weights, reference energies and scale of another run's checkpoint are taken over.
    ``units`` are those of files that do not state theirs, see :func:`train.readers.read_structures`; without,
    ``metal``, provided that the distances agree. Warnings about the labels go to standard error.

    Raises
    ------
    FileExistsError
        If the folder holds a run and ``resume`` is not set.
    ValueError
        If the data or the recipe cannot be right, the run to resume was of another recipe, or the run to start
        from of another network.
    """
    needs_unlabelled = [stage.name for stage in recipe.stages if stage.unlabelled_steps > 0.0]
    if needs_unlabelled and unlabelled is None:
        raise ValueError(
            f"stages {needs_unlabelled} use structures without labels; name a file with --unlabelled"
        )
    files = [data, unlabelled] if needs_unlabelled else [data]
    if units is not None and all(has_own_units(file) for file in files):
        raise ValueError(
            f"--units is for input.data of n2p2 and RuNNer; the format of {data} has units of its own"
        )
    torch.manual_seed(recipe.seed)
    processes = Processes()
    checkpoint = output / "checkpoint.pt"
    if checkpoint.exists() and not resume:
        raise FileExistsError(f"{output} holds a run; continue it with --resume or choose another")
    if resume and not checkpoint.exists():
        raise FileNotFoundError(f"expected a run to resume, found no {checkpoint}")
    processes.wait()
    output.mkdir(parents=True, exist_ok=True)

    frames = _read_checked(data, units, verbose=processes.is_first)
    warnings = check_labels(frames, data)
    for warning in warnings if processes.is_first else []:
        _warn(warning)
    split = split_indices(
        len(frames),
        recipe.n_validation,
        recipe.n_test,
        recipe.split_seed,
        duplicate_indices(frames),
    )
    training_frames = [frames[k] for k in split["train"]]
    reference_energies = fit_composition(training_frames)
    scale = force_scale(training_frames)
    origin = checkpoint if resume else start
    before = read_checkpoint(origin) if origin is not None else None
    if before is not None:
        if set(before["reference_energies"]) != set(reference_energies):
            raise ValueError(
                f"{origin}: expected a run with the elements of {data}, "
                f"{sorted(reference_energies)}; got {sorted(before['reference_energies'])}"
            )
        reference_energies, scale = before["reference_energies"], before["scale"]
    baseline = torch.zeros(119, dtype=torch.float64)
    for symbol, energy in reference_energies.items():
        baseline[number_of[symbol]] = energy
    settings = {
        **recipe.network,
        "species": sorted(number_of[symbol] for symbol in reference_energies),
    }
    if before is not None and before["network"] != settings:
        raise ValueError(
            f"{origin}: expected the network of the recipe, {settings}; got {before['network']}"
        )
    network = build_network(settings)
    structures = {
        name: [prepare(frames[k], network.cutoff) for k in indices]
        for name, indices in split.items()
    }
    if needs_unlabelled:
        structures["unlabelled"] = [
            prepare(atoms, network.cutoff)
            for atoms in _read_checked(unlabelled, units, labels=False, verbose=processes.is_first)
        ]
    record = {
        "network": settings,
        "recipe": recipe.as_dict(),
        "reference_energies": reference_energies,
        "scale": scale,
        "metadata": {
            "name": recipe.name,
            "species": sorted(reference_energies, key=lambda symbol: number_of[symbol]),
            "licence": recipe.metadata.get("licence", ""),
            "citation": recipe.metadata.get("citation", ""),
            "training": {
                "data": Path(data).name,
                "data_sha256": file_hash(data),
                "source": recipe.metadata.get("source", ""),
                "split_seed": recipe.split_seed,
                **{f"n_{name}": len(items) for name, items in structures.items()},
                **({"start_sha256": file_hash(start)} if start is not None else {}),
                **({"unlabelled_sha256": file_hash(unlabelled)} if needs_unlabelled else {}),
            },
            "errors": {},
        },
    }
    trainer = Trainer(recipe, network, structures, baseline, scale, record, output, processes)
    if resume:
        if before["recipe"] != record["recipe"]:
            raise ValueError(f"{output}: expected the recipe of the run to resume, got another")
        record["metadata"] = before["metadata"]
        trainer.resume(before)
    elif before is not None:
        trainer.start_from(before["average"])
    if not resume and processes.is_first:
        (output / "split.json").write_text(json.dumps(split))
        (output / "recipe.json").write_text(json.dumps(recipe.as_dict(), indent=2))
    trainer.run()
    if processes.is_first:
        errors = evaluate(trainer.average, structures["test"], baseline, scale, differentiate=True)
        record["metadata"]["errors"] = _errors_in_ev(errors)
        trainer.save()
        (output / "test.json").write_text(json.dumps(errors, indent=2))
        print(json.dumps(errors, indent=2))
    processes.wait()
    processes.close()


def _read_checked(
    path: str | Path, units: str | None, *, labels: bool = True, verbose: bool
) -> list[Atoms]:
    """Read structures; refuse those that cannot be right, and lengths in units that nobody has said."""
    frames = read_structures(path, units=units or "metal", labels=labels, progress=verbose)
    check_geometry(frames, path)
    doubt = implausible_lengths(frames)
    if doubt is not None:
        if units is None and not has_own_units(path):
            raise ValueError(f"{path}: {doubt}; say what they are with --units metal or atomic")
        if verbose:
            _warn(f"{path}: {doubt}")
    return frames


def _warn(message: str) -> None:
    print(f"mlip-train: warning: {message}", file=sys.stderr)


def _errors_in_ev(errors: dict[str, float]) -> dict[str, float]:
    """Rename test errors the way metadata name them, in eV per atom and eV/Å per component."""
    result = {name: 1e-3 * value for name, value in errors.items() if "c_minus_nc" not in name}
    if "c_minus_nc_rmse" in errors:
        result["rms_c_minus_nc"] = 1e-3 * errors["c_minus_nc_rmse"]
    return result


if __name__ == "__main__":
    sys.exit(main())
