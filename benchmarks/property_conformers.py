"""A property predicted from other geometries than those it was learned on.

    python benchmarks/property_conformers.py CHECKPOINT [CHECKPOINT ...] --true MOLECULES/relaxed.extxyz \
        --conformers rdkit=MOLECULES/embedded.extxyz mmff=OUT/force_field.extxyz potential=OUT/potential.extxyz

CHECKPOINT is a run of ``mlip-property`` on true geometries; OUT is the folder of ``molecular_relaxation.py``. Molecules
are matched by the key ``molecule``; only those that every file has are compared, the others are counted. Several
checkpoints, of different seeds, give a standard deviation. For each kind of geometry there is also the root mean square
distance of its atoms from the true ones after superposition (Kabsch, Acta Cryst. A 32, 922 (1976)), and the error that
the geometry adds: the mean of the absolute difference to the prediction for the true geometry.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation

Structures = dict[str, dict[str, Atoms]]  # kind of geometry: molecule: structure


def matched(files: dict[str, Path], key: str, part: str) -> tuple[Structures, dict[str, int]]:
    """Return the molecules of a part that are in all files, and how many each file lacks.

    Raises
    ------
    ValueError
        If no molecule is in all files, or the atoms of one differ between files.
    """
    found = {
        kind: {
            str(atoms.info["molecule"]): atoms
            for atoms in ase.io.iread(path, ":")
            if atoms.info.get(key) == part
        }
        for kind, path in files.items()
    }
    every = set.union(*(set(some) for some in found.values()))
    common = sorted(set.intersection(*(set(some) for some in found.values())))
    if not common:
        raise ValueError(f"expected molecules with {key}={part} in all files, got none")
    first = next(iter(found.values()))
    for kind, some in found.items():
        for name in common:
            if not np.array_equal(some[name].numbers, first[name].numbers):
                raise ValueError(f"{kind}: molecule {name}: expected its atoms in the same order")
    lacking = {kind: len(every) - len(some) for kind, some in found.items()}
    return {kind: {name: some[name] for name in common} for kind, some in found.items()}, lacking


def distance(atoms: Atoms, true: Atoms) -> float:
    """Return the root mean square distance of atoms from the true ones after superposition, Å."""
    moved = atoms.copy()
    minimize_rotation_and_translation(true, moved)
    return float(np.sqrt(((moved.positions - true.positions) ** 2).sum(axis=1).mean()))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--true", type=Path, required=True)
    parser.add_argument("--conformers", nargs="+", default=[], metavar="KIND=FILE")
    parser.add_argument("--target", default="gap")
    parser.add_argument("--split-key", default="split_random")
    parser.add_argument("--part", default="test")
    parser.add_argument("-o", "--output", type=Path, help="JSON to write")
    options = parser.parse_args(arguments)
    from mlip_train.property.checkpoint import open_property, read_property
    from mlip_train.property.prediction import predict_properties

    files = {"true": options.true}
    files |= {
        kind: Path(path) for kind, path in (entry.split("=", 1) for entry in options.conformers)
    }
    structures, lacking = matched(files, options.split_key, options.part)
    true = list(structures["true"].values())
    labels = np.array([float(atoms.info[options.target]) for atoms in true])
    errors: dict[str, list[float]] = {kind: [] for kind in files}
    shifts: dict[str, list[float]] = {kind: [] for kind in files}
    for checkpoint in options.checkpoints:
        network, targets = open_property(checkpoint)
        species = read_property(checkpoint)["build"]["network"]["species"]
        column = targets.index(options.target)
        of_true = None
        for kind, some in structures.items():
            values, _ = predict_properties(network, list(some.values()), species)
            predicted = values[:, column].numpy()
            of_true = predicted if of_true is None else of_true
            errors[kind].append(float(np.abs(predicted - labels).mean()))
            shifts[kind].append(float(np.abs(predicted - of_true).mean()))
    result = {"molecules": len(true), "lacking": lacking, "checkpoints": len(options.checkpoints)}
    print(f"{len(true)} molecules, {len(options.checkpoints)} checkpoints; lacking: {lacking}")
    print("| geometry | MAE | shift by the geometry | RMSD, Å, median |\n|---|---|---|---|")
    for kind, some in structures.items():
        far = [distance(a, b) for a, b in zip(some.values(), true, strict=True)]
        spread = statistics.stdev(errors[kind]) if len(errors[kind]) > 1 else float("nan")
        result[kind] = {
            "mae": statistics.fmean(errors[kind]),
            "mae_spread": spread,
            "shift": statistics.fmean(shifts[kind]),
            "rmsd": statistics.median(far),
        }
        now = result[kind]
        print(
            f"| {kind} | {now['mae']:.3f} ± {spread:.3f} | {now['shift']:.3f} | {now['rmsd']:.3f} |"
        )
    if options.output:
        options.output.write_text(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
