"""How relaxations lose the symmetry of a crystal, and what averaging and projection restore.

    python benchmarks/symmetry_breaking.py painn=painn/checkpoint.pt pet=pet/checkpoint.pt --elements Cu Ni Si -o broken

After section 4.1 of Bigi, Pegolo, Mazitov, Schmidt, Ceriotti, arXiv:2601.16195: a crystal in its stable structure and
in another one (bcc, for silicon that of white tin) is relaxed with its cell

- free;
- averaged: free, by a model that is averaged over the orientations of --degree (``mlip-export --symmetrise``);
- group: free, by a model that is averaged over the point group of the crystal;
- projected: by ASE, FixSymmetry with FrechetCellFilter.

All crystals are turned at random, so that no axis of a cube is an axis of space. Networks compute in float64. Results
are kept in FOLDER, a line for each relaxation, and the same command goes on after a break.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from element_crystals import LATTICES, element_crystal
from scipy.spatial.transform import Rotation

from mlip_engines import MlipCalculator
from mlip_engines.checkpoints import export_checkpoint
from mlip_engines.model.load import LoadedModel, find_model, load_model
from mlip_engines.model.orientations import lebedev_orientations, point_group_orientations
from mlip_engines.properties.symmetry import turned
from mlip_engines.relaxation import relax
from mlip_engines.relaxation.space_group import space_group
from mlip_engines.units import EV_PER_CUBIC_ANGSTROM_TO_GPA

WAYS = ("free", "averaged", "group", "projected")
STABLE = {"Cu": ("fcc", 3.63), "Ni": ("fcc", 3.52), "Si": ("diamond", 5.46), "Mo": ("bcc", 3.16)}
TURN = Rotation.from_euler("ZYZ", [0.6, 1.1, 2.3]).as_matrix()


def crystals(element: str) -> dict[str, Atoms]:
    """Return the crystal in its stable structure and in another one, both turned; bcc has the same volume per atom."""
    structure, a = STABLE[element]
    stable = bulk(element, structure, a=a, cubic=True)
    found = {structure: stable}
    if "beta-tin" in LATTICES.get(element, ()):
        found["beta-tin"] = element_crystal(element, "beta-tin")
    elif structure != "bcc":
        side = (2.0 * stable.get_volume() / len(stable)) ** (1.0 / 3.0)
        found["bcc"] = bulk(element, "bcc", a=side, cubic=True)
    return {name: turned(atoms, TURN) for name, atoms in found.items()}


def freely(
    model: LoadedModel, atoms: Atoms, fmax: float, steps: int, forces: str = "conservative"
) -> tuple[Atoms, int, bool]:
    """Return the relaxed crystal, how many steps that took, and whether it got there."""
    (found,) = relax(model, [atoms], cell=True, fmax=fmax, steps=steps, forces=forces)
    return found.atoms, found.steps, found.converged


def projected(model: LoadedModel, atoms: Atoms, fmax: float, steps: int) -> tuple[Atoms, int, bool]:
    """Return the same with forces and stress projected on the space group."""
    held = atoms.copy()
    held.calc = MlipCalculator(model)
    held.set_constraint(FixSymmetry(held))
    run = BFGS(FrechetCellFilter(held), logfile=None)
    converged = run.run(fmax=fmax, steps=steps)
    return held, run.get_number_of_steps(), bool(converged)


def first_answer(model: LoadedModel, atoms: Atoms) -> dict[str, float]:
    """Return what symmetry forbids: the largest force (meV/Å) and how far the stress is from isotropic (GPa)."""
    at = atoms.copy()
    at.calc = MlipCalculator(model)
    stress = at.get_stress(voigt=False) * EV_PER_CUBIC_ANGSTROM_TO_GPA
    deviator = stress - np.trace(stress) / 3.0 * np.eye(3)
    return {
        "forbidden_force_meV_per_A": 1000.0 * float(np.linalg.norm(at.get_forces(), axis=1).max()),
        "anisotropy_GPa": float(np.abs(deviator).max()),
    }


def measured(model: LoadedModel, atoms: Atoms, way: str, fmax: float, steps: int) -> dict:
    """Return a relaxation as numbers."""
    after, n_steps, converged = (projected if way == "projected" else freely)(
        model, atoms, fmax, steps
    )
    start, end = atoms.copy(), after.copy()
    end.set_constraint()
    for each in (start, end):
        each.calc = MlipCalculator(model)
    change = (end.get_potential_energy() - start.get_potential_energy()) / len(atoms)
    groups = {f"group_{t}": str(space_group(end, t)) for t in (0.001, 0.01, 0.1)}
    return {
        **first_answer(model, atoms),
        "steps": n_steps,
        "converged": converged,
        "energy_change_meV_per_atom": 1000.0 * float(change),
        "volume_A3_per_atom": end.get_volume() / len(end),
        "lengths_A": sorted(end.cell.lengths().tolist()),
        "angles_degrees": sorted(end.cell.angles().tolist()),
        **groups,
    }


def model_for(way: str, source: Path, atoms: Atoms, folder: Path, degree: int) -> LoadedModel:
    """Return the model as it is, or averaged as the way wants it.

    Raises
    ------
    ValueError
        If it is a model file of which no average can be made.
    """
    orientations = None
    if way == "averaged":
        orientations = lebedev_orientations(degree)
    elif way == "group":
        orientations = point_group_orientations(atoms)
    path = folder / f".{way}.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of distances that no data tell
        export_checkpoint(source, path, "float64", orientations=orientations)
    model = load_model(path)
    path.unlink()
    return model


def table(rows: list[dict]) -> list[str]:
    """Return the lines of the table."""
    lines = [
        "| crystal | network | relaxed | forbidden force, meV/Å, and stress, GPa | steps | energy, meV/atom | "
        "space group, 0.01 Å | 0.1 Å |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        steps = f"{row['steps']}" if row["converged"] else f"{row['steps']}, not converged"
        lines.append(
            f"| {row['crystal']} | {row['network']} | {row['way']} | {row['forbidden_force_meV_per_A']:.1g}, "
            f"{row['anisotropy_GPa']:.1g} | {steps} | {row['energy_change_meV_per_atom']:.1f} | "
            f"{row['group_0.01']} | {row['group_0.1']} |"
        )
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Relax what is missing in the folder and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", metavar="NAME=FILE", nargs="+", help="checkpoints or model files")
    parser.add_argument("--elements", nargs="+", choices=sorted(STABLE), default=["Cu"])
    parser.add_argument("--degree", type=int, default=3)
    parser.add_argument("--fmax", type=float, default=1e-4, help="eV/Å")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    kept = options.output / "rows.jsonl"
    lines = kept.read_text().splitlines() if kept.exists() else []
    rows = [json.loads(line) for line in lines]
    done = {(row["crystal"], row["network"], row["way"]) for row in rows}
    for given in options.models:
        network, _, file = given.partition("=")
        for element in options.elements:
            for structure, atoms in crystals(element).items():
                for way in WAYS:
                    case = {"crystal": f"{element}, {structure}", "network": network, "way": way}
                    if tuple(case.values()) in done:
                        continue
                    source = Path(file) if Path(file).exists() else find_model(file)
                    try:
                        model = model_for(way, source, atoms, options.output, options.degree)
                    except ValueError:  # a model file of another package, which is taken as it is
                        if way in ("averaged", "group"):
                            continue
                        model = load_model(source)
                    row = {**case, **measured(model, atoms, way, options.fmax, options.steps)}
                    rows.append(row)
                    with kept.open("a") as out:
                        out.write(json.dumps(row) + "\n")
                    print(table([row])[-1], flush=True)
    text = "\n".join(table(rows))
    (options.output / "symmetry.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
