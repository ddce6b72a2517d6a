"""Minimise many small molecules in vacuum in OpenMM, with one model that is loaded once.

    python examples/openmm/minimise_batch.py molecules.extxyz --output minima.extxyz

Each structure that ASE finds in the files is minimised in its own Context; those without a periodic
cell are in vacuum.
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np
import openmm
from ase.calculators.singlepoint import SinglePointCalculator
from openmm import unit
from tqdm import tqdm

from mlip_engines import load_model
from mlip_engines.units import EV_TO_KJ_PER_MOL
from openmm_forces import create_system, from_ase


def main() -> None:
    """Read, minimise one by one, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+", help="anything ASE reads")
    parser.add_argument("--model", default="water", help="model file or shipped model")
    parser.add_argument("--tolerance", type=float, default=1.0, help="RMS force, kJ/mol/nm")
    parser.add_argument("--output", type=Path, default=Path("minima.extxyz"))
    options = parser.parse_args()

    model = load_model(options.model)
    molecules = [atoms for file in options.files for atoms in ase.io.read(file, ":")]
    minima = []
    for atoms in tqdm(molecules, unit="molecule"):
        structure = from_ase(atoms)
        system = create_system(structure.topology, model)
        context = openmm.Context(system, openmm.VerletIntegrator(0.001))
        context.setPositions(structure.positions)
        openmm.LocalEnergyMinimizer.minimize(context, options.tolerance)
        state = context.getState(positions=True, energy=True, forces=True)
        energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
        forces = state.getForces(asNumpy=True)
        forces = forces.value_in_unit(unit.kilojoule_per_mole / unit.angstrom)
        energy, forces = energy / EV_TO_KJ_PER_MOL, forces / EV_TO_KJ_PER_MOL
        positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
        # Back in the orientation of the file.
        forces, positions = forces @ structure.rotation, positions @ structure.rotation
        minimum = atoms.copy()
        minimum.positions = positions
        minimum.calc = SinglePointCalculator(minimum, energy=energy, forces=forces)
        minima.append(minimum)
        tqdm.write(
            f"{minimum.symbols}: {energy:.5f} eV, largest force "
            f"{np.linalg.norm(forces, axis=1).max():.2e} eV/Å"
        )
    ase.io.write(options.output, minima)


if __name__ == "__main__":
    main()
