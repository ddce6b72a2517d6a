"""Where minimisers end that start outside of the training data: does the energy have holes?

    OMP_NUM_THREADS=1 python benchmarks/collapse.py water --starts 30 -o collapse
    OMP_NUM_THREADS=1 python benchmarks/collapse.py water --boxes 8 --displacement 0.3

The first form takes small boxes (8 molecules of water, 32 atoms of copper) and makes starts of three kinds: rattled
(each coordinate displaced by 0.1 to 0.5 Å RMS), squeezed (to 0.95 to 0.7 of each length, and rattled by 0.05 Å) and
packed (atoms at random places, the only condition being 0.5 of the sum of the covalent radii). Five minimisers
take each start: OpenMM's LocalEnergyMinimizer, LAMMPS's cg and fire, ASE's BFGS and FIRE. Energies are per atom
above the lowest of the quenches of thermal boxes, after at most --steps iterations. A row of the table says where the
ends lie, how close the closest pair of any end is as a part of the sum of its covalent radii, and how many ends are
too low: more than 50 meV per atom below the lowest quench (the crystal lies some 30 meV per atom below a quenched
liquid). Runs that stop with an error are counted, and their messages printed below.

The second form displaces the 192 atoms of the shipped start of water and gives them to OpenMM.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import openmm
from ase import Atoms
from ase.build import bulk
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from ase.optimize import BFGS, FIRE
from openmm import unit

from mlip_engines import MlipCalculator
from mlip_engines.lammps.plugin import lammps_command
from mlip_engines.model.load import find_model, read_metadata
from mlip_engines.simulations.lammps_input import preamble, write_data
from openmm_forces import create_system, from_ase

START = Path(__file__).parents[1] / "examples" / "water_64.extxyz"
BELOW = 0.05  # eV per atom
FORCE = 0.05  # eV/Å, where minimisers may stop


def openmm_minimised(atoms: Atoms, model: Path, steps: int) -> Atoms:
    """Return the structure that OpenMM's minimiser ends at."""
    start = from_ase(atoms)
    context = openmm.Context(
        create_system(start.topology, model),
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName("Reference"),
    )
    context.setPositions(start.positions)
    openmm.LocalEnergyMinimizer.minimize(context, 10.0, steps)
    positions = context.getState(getPositions=True).getPositions(asNumpy=True)
    end = atoms.copy()
    end.positions = positions.value_in_unit(unit.angstrom)
    return end


def lammps_minimised(style: str) -> Callable[[Atoms, Path, int], Atoms]:
    """Return a function that minimises with ``min_style``."""

    def minimised(atoms: Atoms, model: Path, steps: int) -> Atoms:
        species = sorted(set(atoms.get_chemical_symbols()))
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_data(folder / "start.data", atoms, species)
            lines = [
                *preamble("read_data start.data", "mlip", model, species, periodic=True),
                "timestep 0.0005",
                f"min_style {style}",
                f"minimize 0 {FORCE} {steps} {10 * steps}",
                "write_dump all custom end.dump id xu yu zu modify sort id format float %20.12g",
            ]
            (folder / "in").write_text("\n".join(lines) + "\n")
            done = subprocess.run(
                [*lammps_command(), "-in", "in", "-log", "none"],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                raise ValueError(done.stdout.strip().splitlines()[-1])
            rows = (folder / "end.dump").read_text().splitlines()[9:]
        end = atoms.copy()
        end.positions = np.array([[float(word) for word in row.split()[1:]] for row in rows])
        return end

    return minimised


def ase_minimised(optimizer: type) -> Callable[[Atoms, Path, int], Atoms]:
    """Return a function that minimises with an optimiser of ASE."""

    def minimised(atoms: Atoms, model: Path, steps: int) -> Atoms:
        end = atoms.copy()
        end.calc = MlipCalculator(model)
        optimizer(end, logfile=None).run(fmax=FORCE, steps=steps)
        return end

    return minimised


MINIMISERS = {
    "OpenMM": openmm_minimised,
    "LAMMPS cg": lammps_minimised("cg"),
    "LAMMPS fire": lammps_minimised("fire"),
    "ASE BFGS": ase_minimised(BFGS),
    "ASE FIRE": ase_minimised(FIRE),
}


def liquid_or_crystal(species: list[str]) -> Atoms:
    """Return the box that starts are made from: 8 molecules of water, or 32 atoms of an fcc metal."""
    if species != ["H", "O"]:
        return bulk(species[0], cubic=True).repeat(2)
    molecule = Atoms("OHH", [[0.0, 0.0, 0.0], [0.76, 0.59, 0.0], [-0.76, 0.59, 0.0]])
    molecule.set_cell([3.104, 3.104, 3.104])
    molecule.pbc = True
    return molecule.repeat(2)


def starts(box: Atoms, kind: str, n: int) -> list[Atoms]:
    """Return starts of a kind; see the docstring of this file."""
    made = []
    for k in range(n):
        rng, atoms = np.random.default_rng([sum(kind.encode()), k]), box.copy()
        noise = rng.normal(size=atoms.positions.shape)
        if kind == "thermal":
            atoms.positions += 0.05 * noise
        elif kind == "rattled":
            atoms.positions += np.linspace(0.1, 0.5, n)[k] * noise
        elif kind == "squeezed":
            factor = np.linspace(0.95, 0.7, n)[k]
            atoms.positions += 0.05 * noise
            atoms.set_cell(factor * atoms.cell.array, scale_atoms=True)
        else:
            atoms.positions = packed(atoms, rng)
        made.append(atoms)
    return made


def packed(box: Atoms, rng: np.random.Generator) -> np.ndarray:
    """Return random positions (N, 3), no pair closer than half of the sum of its covalent radii."""
    radii, chosen = covalent_radii[box.numbers], []
    for number in range(len(box)):
        while True:
            place = rng.uniform(size=3) @ box.cell.array
            apart = np.array(chosen).reshape(-1, 3) - place
            fractions = apart @ np.linalg.inv(box.cell.array)
            distances = np.linalg.norm((fractions - fractions.round()) @ box.cell.array, axis=1)
            if (distances > 0.5 * (radii[:number] + radii[number])).all():
                chosen.append(place)
                break
    return np.array(chosen)


def closeness(atoms: Atoms) -> float:
    """Return the shortest distance in units of the sum of the covalent radii of its pair."""
    i, j, distance = neighbor_list("ijd", atoms, 3.0)
    radii = covalent_radii[atoms.numbers]
    return float((distance / (radii[i] + radii[j])).min()) if len(distance) else 9.0


def ends(model: Path, n: int, steps: int, kinds: list[str], minimisers: list[str]) -> list[dict]:
    """Return a row for each kind of start and minimiser; print it as a row of a table."""
    calculator, box = MlipCalculator(model), liquid_or_crystal(read_metadata(model).species)
    quench = ase_minimised(BFGS)
    lowest = min(
        calculator.get_potential_energy(quench(atoms, model, 200))
        for atoms in starts(box, "thermal", 4)
    )
    rows = []
    print("| starts | minimiser | lowest | median | highest | closest pair | too low | errors |")
    print("|---|---|---|---|---|---|---|---|")
    for kind in kinds:
        for name in minimisers:
            energies, closest, n_low, failures = [], 9.0, 0, []
            for atoms in starts(box, kind, n):
                try:
                    end = MINIMISERS[name](atoms, model, steps)
                    above = (calculator.get_potential_energy(end) - lowest) / len(end)
                except (openmm.OpenMMException, ValueError) as e:
                    failures.append(str(e))
                    continue
                energies.append(1000.0 * above)
                closest = min(closest, closeness(end))
                n_low += above < -BELOW
            row = {
                "starts": kind,
                "minimiser": name,
                "meV_per_atom": energies,
                "closest": closest,
                "too_low": int(n_low),
                "failures": failures,
            }
            rows.append(row)
            low, middle, high = np.quantile(energies, [0.0, 0.5, 1.0]) if energies else [np.nan] * 3
            print(
                f"| {kind} | {name} | {low:.1f} | {middle:.1f} | {high:.0f} | {closest:.2f} | "
                f"{n_low} of {n} | {len(failures)} |",
                flush=True,
            )
            for failure in sorted(set(failures)):
                print(f"  {failure}")
    return rows


def shipped_box(model: Path, n_boxes: int, displacement: float) -> None:
    """Minimise the shipped start of water, displaced, with OpenMM; print the energy of each end per molecule."""
    start, calculator = ase.io.read(START), MlipCalculator(model)
    reference, n_molecules = calculator.get_potential_energy(start), len(start) // 3
    n_holes = 0
    for seed in range(n_boxes):
        atoms = start.copy()
        noise = np.random.default_rng(seed).normal(size=atoms.positions.shape)
        atoms.positions += displacement * noise
        try:
            end = openmm_minimised(atoms, model, 300)
            above = (calculator.get_potential_energy(end) - reference) / n_molecules
            where = f"closest pair {closeness(end):.2f} of its bond"
        except (openmm.OpenMMException, ValueError) as e:
            above, where = float("-inf"), str(e)
        # a perfect crystal of ice lies 0.1 to 0.2 eV per molecule below the liquid
        n_holes += above < -1.0
        print(f"{seed}: {above:.3g} eV per molecule, {where}", flush=True)
    print(f"{n_holes} of {n_boxes} boxes end in a hole")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="model file, or the name of a shipped model")
    parser.add_argument("--starts", type=int, default=30, help="of each kind")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--kinds", nargs="+", default=["rattled", "squeezed", "packed"])
    parser.add_argument("--minimisers", nargs="+", default=list(MINIMISERS), choices=MINIMISERS)
    parser.add_argument("-o", "--output", type=Path, help="folder for rows.json")
    parser.add_argument("--boxes", type=int, default=0, help="only the second form, with so many")
    parser.add_argument("--displacement", type=float, default=0.3, help="of each coordinate, Å RMS")
    options = parser.parse_args()
    model = find_model(options.model)
    if options.boxes:
        shipped_box(model, options.boxes, options.displacement)
        return
    rows = ends(model, options.starts, options.steps, options.kinds, options.minimisers)
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "rows.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
