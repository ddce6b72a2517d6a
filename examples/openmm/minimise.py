"""Minimise the energy of a structure in OpenMM with a model.

python examples/openmm/minimise.py --structure start.extxyz --output minimum.pdb
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np
import openmm
from openmm import app, unit

from openmm_forces import create_system, from_ase


def energy_and_largest_force(context: openmm.Context) -> tuple[float, float]:
    """Return the energy in kJ/mol and the largest force on an atom in kJ/mol/nm."""
    state = context.getState(getEnergy=True, getForces=True)
    forces = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    return energy, float(np.linalg.norm(forces, axis=1).max())


def main() -> None:
    """Read, minimise, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default_start = Path(__file__).parents[1] / "water_64.extxyz"
    parser.add_argument("--model", default="water", help="model file or shipped model")
    parser.add_argument("--structure", type=Path, default=default_start, help="anything ASE reads")
    parser.add_argument("--tolerance", type=float, default=10.0, help="RMS force, kJ/mol/nm")
    parser.add_argument("--max-iterations", type=int, default=0, help="0: until converged")
    parser.add_argument("--output", type=Path, default=Path("minimum.pdb"))
    options = parser.parse_args()

    structure = from_ase(ase.io.read(options.structure))
    system = create_system(structure.topology, options.model)
    integrator = openmm.VerletIntegrator(0.5 * unit.femtosecond)
    simulation = app.Simulation(structure.topology, system, integrator)
    simulation.context.setPositions(structure.positions)
    for label in ("before", "after"):
        energy, force = energy_and_largest_force(simulation.context)
        print(f"{label:>6}: energy {energy:.4f} kJ/mol, largest force {force:.2f} kJ/mol/nm")
        if label == "before":
            openmm.LocalEnergyMinimizer.minimize(
                simulation.context, options.tolerance, options.max_iterations
            )
    state = simulation.context.getState(getPositions=True)
    with options.output.open("w", encoding="utf-8") as file:
        app.PDBFile.writeFile(structure.topology, state.getPositions(), file)


if __name__ == "__main__":
    main()
