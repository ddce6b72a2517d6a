"""Relaxation paths of small molecules with GFN2-xTB, in the layout of PubChemQCR, with properties of the ends.

    pip install rdkit tblite lmdb
    OMP_NUM_THREADS=1 python benchmarks/relaxation_paths.py -o molecules --n 3000 --processes 2

Each molecule of :mod:`candidate_molecules` is embedded by RDKit (ETKDG version 3) and relaxed by ASE's BFGS with
GFN2-xTB (Bannwarth, Ehlert, Grimme, JCTC 15, 1652 (2019); program tblite) until no force is above --fmax. Every step is
kept. The command can be killed and started again: it goes on with the molecules that are missing.

    OUT/paths.lmdb        {molecule: {"GFN2-xTB": [step, ...]}}, the layout of PubChemQCR (Fu et al., arXiv:2506.23008)
    OUT/relaxed.extxyz    last steps, with gap (HOMO-LUMO, eV), dipole and its length dipole_moment (e Å), and two
                          splits, `split_random` and `split_scaffold`
    OUT/embedded.extxyz   what RDKit made, with the properties of the relaxed molecule and `molecule` to match them
    OUT/random/, OUT/scaffold/    paths of each split: train.lmdb, valid.lmdb, test.lmdb (80, 10, 10 %)
    OUT/thinned_train.extxyz, OUT/thinned_valid.extxyz    at most five steps of each molecule that tests in neither
                          split: the first, third and sixth, one after a quarter of the path, and the last
    OUT/failures.csv      molecules that were left out, with the reason

A scaffold (Bemis, Murcko, J. Med. Chem. 39, 2887 (1996)) is in one part of the second split only; no molecule is in two
parts of any.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import pickle
import random
import sys
import time
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import ase.io
import lmdb
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import covalent_radii
from ase.optimize import BFGS
from ase.units import Bohr, Hartree
from candidate_molecules import candidates, scaffold
from rdkit import Chem
from rdkit.Chem import AllChem
from tblite.ase import TBLite
from tblite.interface import Calculator

LEVEL = "GFN2-xTB"
PARTS = {"train": 0.8, "valid": 0.1, "test": 0.1}
MAP_SIZE = 1 << 36


def identity(name: str) -> str:
    """Return a short key of a molecule, the same on every machine; never one that reads as a number."""
    return f"m{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def bonds_broken(molecule: Chem.Mol, atoms: Atoms) -> bool:
    """Tell whether a bond is longer than 1.35 sums of covalent radii, or other atoms are closer than 1.15."""
    bonded = {tuple(sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx()))) for b in molecule.GetBonds()}
    lengths = atoms.get_all_distances()
    for i in range(len(atoms)):
        for j in range(i + 1, len(atoms)):
            relative = lengths[i, j] / sum(covalent_radii[atoms.numbers[[i, j]]])
            if relative > 1.35 if (i, j) in bonded else relative < 1.15:
                return True
    return False


def frontier_gap(atoms: Atoms) -> float:
    """Return the HOMO-LUMO gap of GFN2-xTB, eV."""
    calculator = Calculator("GFN2-xTB", atoms.numbers, atoms.positions / Bohr)
    calculator.set("verbosity", 0)
    result = calculator.singlepoint()
    energies, occupations = (
        np.asarray(result.get(f"orbital-{what}")) for what in ("energies", "occupations")
    )
    return float((energies[occupations < 1].min() - energies[occupations > 1].max()) * Hartree)


def step_of(atoms: Atoms) -> dict[str, Any]:
    """Return one step in the layout of PubChemQCR: Å, hartree, hartree/bohr."""
    symbols, slopes = atoms.get_chemical_symbols(), -atoms.get_forces() * Bohr / Hartree
    return {
        "coordinates": [
            {"atom": s, **dict(zip("xyz", row, strict=True))}
            for s, row in zip(symbols, atoms.positions.tolist(), strict=True)
        ],
        # a plain number: readers of pickles from elsewhere refuse anything else
        "energy": float(atoms.get_potential_energy() / Hartree),
        "gradient": [
            {"atom": s, **dict(zip(("dx", "dy", "dz"), row, strict=True))}
            for s, row in zip(symbols, slopes.tolist(), strict=True)
        ],
    }


def relax(task: tuple[str, int, float, int]) -> dict[str, Any]:
    """Embed and relax one molecule; failures are returned, not raised, so that the other thousands go on."""
    name, seed, fmax, most_steps = task
    found: dict[str, Any] = {"name": name}
    try:
        molecule = Chem.MolFromSmiles(name)
        if molecule is None:
            return found | {"failure": "RDKit cannot read it"}
        molecule = Chem.AddHs(molecule)
        if Chem.GetFormalCharge(molecule) != 0:  # the layout has no place for it
            return found | {"failure": "charged"}
        if any(a.GetNumRadicalElectrons() for a in molecule.GetAtoms()):
            return found | {"failure": "open shell"}
        parameters = AllChem.ETKDGv3()
        parameters.randomSeed = seed
        if AllChem.EmbedMolecule(molecule, parameters) != 0:
            return found | {"failure": "RDKit cannot embed it"}
        atoms = Atoms(
            [a.GetSymbol() for a in molecule.GetAtoms()], molecule.GetConformer().GetPositions()
        )
        atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
        steps: list[dict[str, Any]] = []
        optimizer = BFGS(atoms, logfile=None)
        optimizer.attach(lambda: steps.append(step_of(atoms)))
        if not optimizer.run(fmax=fmax, steps=most_steps):
            return found | {"failure": f"not relaxed in {most_steps} steps"}
        if bonds_broken(molecule, atoms):
            return found | {"failure": "its bonds changed"}
        return found | {
            "steps": steps,
            "gap": frontier_gap(atoms),
            "dipole": (atoms.get_dipole_moment()).tolist(),
        }
    except Exception as e:  # noqa: BLE001 - one molecule must not stop the others
        return found | {"failure": f"{type(e).__name__}: {e}".splitlines()[0]}


def build(out: Path, n: int, *, processes: int, most_atoms: int, fmax: float, seed: int) -> None:
    """Relax the molecules that `out` does not have yet and write them to ``out/work.lmdb``."""
    out.mkdir(parents=True, exist_ok=True)
    names = candidates(n, most_atoms=most_atoms, seed=seed)
    with lmdb.open(str(out / "work.lmdb"), subdir=False, map_size=MAP_SIZE) as environment:
        with environment.begin() as transaction:
            todo = [s for s in names if transaction.get(identity(s).encode()) is None]
        started, done = time.monotonic(), 0
        with Pool(processes) as pool:
            tasks = [(s, seed + 1, fmax, 300) for s in todo]
            for found in pool.imap_unordered(relax, tasks, chunksize=1):
                with environment.begin(write=True) as transaction:
                    transaction.put(
                        identity(found["name"]).encode(), gzip.compress(pickle.dumps(found))
                    )
                done += 1
                if done % 50 == 0:
                    rate = (time.monotonic() - started) / done
                    print(
                        f"{len(names) - len(todo) + done} of {len(names)}, "
                        f"{rate * (len(todo) - done) / 60:.0f} minutes left",
                        flush=True,
                    )


def part_of_each(keys: list[str], seed: int) -> dict[str, str]:
    """Give each key a part by chance; equal keys have the same part."""
    different = sorted(set(keys))
    counts = {k: keys.count(k) for k in different} if len(different) < len(keys) else {}
    random.Random(seed).shuffle(different)
    parts, filled = {}, dict.fromkeys(PARTS, 0)
    for key in different:
        # The part that lacks most of what it should have.
        part = max(PARTS, key=lambda p: PARTS[p] * len(keys) - filled[p])
        parts[key] = part
        filled[part] += counts.get(key, 1)
    return parts


def atoms_of(step: dict[str, Any]) -> Atoms:
    """Return the structure of a step."""
    return Atoms(
        [a["atom"] for a in step["coordinates"]],
        [[a["x"], a["y"], a["z"]] for a in step["coordinates"]],
    )


def thinned(found: dict[str, Any]) -> list[Atoms]:
    """Return at most five steps of a path with energies (eV) and forces (eV/Å)."""
    steps = found["steps"]
    frames = []
    for k in sorted({0, *(k for k in (2, 5) if k < len(steps)), len(steps) // 4, len(steps) - 1}):
        atoms = atoms_of(steps[k])
        slopes = [[row[c] for c in ("dx", "dy", "dz")] for row in steps[k]["gradient"]]
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=float(steps[k]["energy"]) * Hartree,
            forces=-np.array(slopes) * Hartree / Bohr,
        )
        atoms.info["molecule"] = identity(found["name"])
        frames.append(atoms)
    return frames


def write(out: Path, seed: int) -> None:
    """Write the files that others read from what is relaxed so far."""
    kept, failures = [], []
    with (
        lmdb.open(str(out / "work.lmdb"), subdir=False, readonly=True, lock=False) as environment,
        environment.begin() as transaction,
    ):
        for _, value in transaction.cursor():
            found = pickle.loads(gzip.decompress(value))
            (failures if "failure" in found else kept).append(found)
    with (out / "failures.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("molecule", "reason")] + [(f["name"], f["failure"]) for f in failures]
        )
    names = [f["name"] for f in kept]
    scaffolds = [scaffold(s) or f"chain {s}" for s in names]
    by_name = part_of_each(names, seed)
    by_scaffold = part_of_each(scaffolds, seed)
    splits = {
        "random": [by_name[s] for s in names],
        "scaffold": [by_scaffold[s] for s in scaffolds],
    }
    ends = {"relaxed.extxyz": -1, "embedded.extxyz": 0}
    for file, k in ends.items():
        frames = []
        for i, found in enumerate(kept):
            atoms = atoms_of(found["steps"][k])
            atoms.info |= {
                "molecule": identity(found["name"]),
                "smiles": found["name"],
                "gap": found["gap"],
                "dipole": np.array(found["dipole"]),
                "dipole_moment": float(np.linalg.norm(found["dipole"])),
                **{f"split_{split}": parts[i] for split, parts in splits.items()},
            }
            frames.append(atoms)
        ase.io.write(out / file, frames, format="extxyz")
    places = {(out / "paths.lmdb"): kept}
    for split, parts in splits.items():
        (out / split).mkdir(exist_ok=True)
        for part in PARTS:
            places[out / split / f"{part}.lmdb"] = [
                f for f, p in zip(kept, parts, strict=True) if p == part
            ]
    for path, some in places.items():
        path.unlink(missing_ok=True)
        with (
            lmdb.open(str(path), subdir=False, map_size=MAP_SIZE) as environment,
            environment.begin(write=True) as transaction,
        ):
            for found in some:
                steps = [{**step, "energy": float(step["energy"])} for step in found["steps"]]
                transaction.put(
                    identity(found["name"]).encode(), gzip.compress(pickle.dumps({LEVEL: steps}))
                )
    for part in ("train", "valid"):
        chosen = [
            found
            for found, of_random, of_scaffold in zip(kept, *splits.values(), strict=True)
            if of_random == part and of_scaffold != "test"
        ]
        frames = [atoms for found in chosen for atoms in thinned(found)]
        ase.io.write(out / f"thinned_{part}.extxyz", frames, format="extxyz")
    print(
        json.dumps(
            {
                "molecules": len(kept),
                "steps": sum(len(f["steps"]) for f in kept),
                "failures": len(failures),
                **{
                    split: {part: parts.count(part) for part in PARTS}
                    for split, parts in splits.items()
                },
            }
        )
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--n", type=int, default=3000, help="molecules (default 3000)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--most-atoms", type=int, default=18)
    parser.add_argument("--fmax", type=float, default=0.02, help="eV/Å (default 0.02)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only-write", action="store_true", help="write what is there so far")
    options = parser.parse_args(arguments)
    if not options.only_write:
        build(
            options.output,
            options.n,
            processes=options.processes,
            most_atoms=options.most_atoms,
            fmax=options.fmax,
            seed=options.seed,
        )
    write(options.output, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
