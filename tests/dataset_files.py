"""Labelled random structures, and the formats they are written in: a few lines each, apart from the readers."""

from pathlib import Path

import ase.db
import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.units import Bohr, Hartree

from structures import TRICLINIC


def random_structures(n: int = 5, *, fixed: bool = False, periodic: bool = True) -> list[Atoms]:
    """Random labels on random atoms; with ``fixed``, all of one composition, as one system of DeePMD needs."""
    rng = np.random.default_rng(n)
    structures = []
    for k in range(n):
        n_atoms = 6 if fixed else int(rng.integers(2, 9))
        symbols = ["O", "H", "H", "Si", "O", "H"] if fixed else rng.choice(["O", "H"], n_atoms)
        atoms = Atoms(symbols, rng.normal(scale=3.0, size=(n_atoms, 3)))
        labels = {"energy": rng.normal(scale=100.0), "forces": rng.normal(size=(n_atoms, 3))}
        if periodic and (fixed or k % 2):
            atoms.cell, atoms.pbc = TRICLINIC + rng.normal(scale=0.1, size=(3, 3)), True
            labels["stress"] = rng.normal(scale=0.01, size=6)
        atoms.calc = SinglePointCalculator(atoms, **labels)
        structures.append(atoms)
    return structures


def _numbers(values) -> str:
    return " ".join(repr(float(value)) for value in np.ravel(values))


def write_extxyz(path: Path, structures: list[Atoms]) -> Path:
    """ASE's own writer rounds to eight decimals."""
    lines = []
    for atoms in structures:
        labels = atoms.calc.results
        header = f"Properties=species:S:1:pos:R:3:forces:R:3 energy={_numbers(labels['energy'])}"
        if atoms.pbc.all():
            header += f' Lattice="{_numbers(atoms.cell.array)}" pbc="T T T"'
            if "stress" in labels:
                header += f' stress="{_numbers(atoms.get_stress(voigt=False))}"'
        lines += [str(len(atoms)), header]
        rows = zip(atoms.symbols, atoms.positions, labels["forces"], strict=True)
        lines += [f"{symbol} {_numbers(r)} {_numbers(f)}" for symbol, r, f in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_n2p2(
    path: Path, structures: list[Atoms], length: float = 1.0, energy: float = 1.0
) -> Path:
    """``length`` and ``energy`` are the units of the file, in Å and eV."""
    lines = []
    for k, atoms in enumerate(structures):
        labels = atoms.calc.results
        lines += ["begin", f"comment the beginning of structure {k}"]
        if atoms.pbc.all():
            lines += [f"lattice {_numbers(vector / length)}" for vector in atoms.cell.array]
        rows = zip(atoms.symbols, atoms.positions, labels["forces"], strict=True)
        lines += [
            f"atom {_numbers(r / length)} {s} 0.0 0.0 {_numbers(f * length / energy)}"
            for s, r, f in rows
        ]
        lines += [f"energy {_numbers(labels['energy'] / energy)}", "charge 0.0", "end"]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_n2p2_atomic(path: Path, structures: list[Atoms]) -> Path:
    return write_n2p2(path, structures, Bohr, Hartree)


def write_ase(path: Path, structures: list[Atoms]) -> Path:
    ase.io.write(path, structures)
    return path


def write_database(path: Path, structures: list[Atoms]) -> Path:
    with ase.db.connect(path) as database:
        for atoms in structures:
            database.write(atoms)
    return path


def write_deepmd(path: Path, structures: list[Atoms], n_sets: int = 2) -> Path:
    path.mkdir(parents=True)
    names = sorted(set(structures[0].symbols))
    (path / "type_map.raw").write_text("\n".join(names))
    (path / "type.raw").write_text("\n".join(str(names.index(s)) for s in structures[0].symbols))
    is_periodic = structures[0].pbc.all()
    if not is_periodic:
        (path / "nopbc").touch()
    for k, chosen in enumerate(np.array_split(np.arange(len(structures)), n_sets)):
        folder = path / f"set.{k:03d}"
        folder.mkdir()
        part = [structures[j] for j in chosen]
        np.save(folder / "coord.npy", [atoms.positions.ravel() for atoms in part])
        np.save(folder / "energy.npy", [atoms.get_potential_energy() for atoms in part])
        np.save(folder / "force.npy", [atoms.get_forces().ravel() for atoms in part])
        if is_periodic:
            np.save(folder / "box.npy", [atoms.cell.array.ravel() for atoms in part])
            if "stress" in structures[0].calc.results:
                virials = [-a.get_volume() * a.get_stress(voigt=False) for a in part]
                np.save(folder / "virial.npy", np.reshape(virials, (len(part), 9)))
    return path
