"""Does a minimiser fall into a hole of the energy? Water with displaced atoms through OpenMM's LocalEnergyMinimizer.

    OMP_NUM_THREADS=1 python benchmarks/collapse.py water --boxes 8 --displacement 0.3

Prints the energy that each box ends at, per molecule above the shipped start. A hole lies far below it; then the row
names the closest pair of atoms.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import ase.io
import numpy as np
import openmm
from ase import Atoms
from openmm import unit

from mlip_engines import MlipCalculator
from openmm_forces import create_system, from_ase

START = Path(__file__).parents[1] / "examples" / "water_64.extxyz"
HOLE = -1.0  # eV per molecule: a perfect crystal of ice lies 0.1 to 0.2 eV below the liquid


def minimised(atoms: Atoms, model: str) -> Atoms:
    """Return the structure that 300 iterations end at."""
    start = from_ase(atoms)
    context = openmm.Context(
        create_system(start.topology, model),
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName("Reference"),
    )
    context.setPositions(start.positions)
    openmm.LocalEnergyMinimizer.minimize(context, 100, 300)
    positions = context.getState(getPositions=True).getPositions(asNumpy=True)
    end = atoms.copy()
    end.positions = positions.value_in_unit(unit.angstrom)
    return end


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="model file, or the name of a shipped model")
    parser.add_argument("--boxes", type=int, default=8)
    parser.add_argument("--displacement", type=float, default=0.3, help="of each coordinate, Å RMS")
    options = parser.parse_args()
    start, calculator = ase.io.read(START), MlipCalculator(options.model)
    reference, n_molecules = calculator.get_potential_energy(start), len(start) // 3
    n_holes = 0
    for seed in range(options.boxes):
        atoms = start.copy()
        noise = np.random.default_rng(seed).normal(size=atoms.positions.shape)
        atoms.positions += options.displacement * noise
        try:
            end = minimised(atoms, options.model)
            above = (calculator.get_potential_energy(end) - reference) / n_molecules
        except (openmm.OpenMMException, ValueError) as e:
            above, end = float("-inf"), None
            print(f"{seed}: {e}")
        is_hole = above < HOLE
        n_holes += is_hole
        where = ""
        if is_hole and end is not None:
            distances = end.get_all_distances(mic=True) + 99.0 * np.eye(len(end))
            i, j = np.unravel_index(distances.argmin(), distances.shape)
            where = f", a hole: {end.symbols[i]}-{end.symbols[j]} {distances[i, j]:.2f} Å"
        print(f"{seed}: {above:.3g} eV per molecule{where}", flush=True)
    print(f"{n_holes} of {options.boxes} boxes end in a hole")


if __name__ == "__main__":
    main()
