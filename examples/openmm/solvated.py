"""Molecules described by a model, in a box of force-field water, with r-RESPA.

    python examples/openmm/solvated.py --molecules 0 --steps 500

The structure is water, O, H, H for each molecule. The molecules you name become the region of the model; the
others are rigid TIP3P. For another solute, make topology and ``mm_system`` with OpenMM's ``Modeller`` and
``ForceField``, and use a model that knows its elements. The rest of the script stays the same.
"""

import argparse
import sys
from pathlib import Path

import ase.io
from ase import Atoms
from openmm import app, unit

from openmm_forces import (
    RespaLangevinIntegrator,
    create_mixed_system,
    evaluation_counts,
    from_ase,
)


def water_topology(atoms: Atoms) -> app.Topology:
    """Return residues with the names and bonds that OpenMM's force fields know."""
    if str(atoms.symbols) != "OH2" * (len(atoms) // 3):
        sys.exit(f"expected O, H, H for each molecule, got {atoms.symbols}")
    topology = app.Topology()
    chain = topology.addChain()
    for _ in range(len(atoms) // 3):
        residue = topology.addResidue("HOH", chain)
        oxygen = topology.addAtom("O", app.element.oxygen, residue)
        for name in ("H1", "H2"):
            topology.addBond(oxygen, topology.addAtom(name, app.element.hydrogen, residue))
    topology.setPeriodicBoxVectors(from_ase(atoms).topology.getPeriodicBoxVectors())
    return topology


def main() -> None:
    """Build, minimise, run, print the temperature and what was evaluated."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default_start = Path(__file__).parents[1] / "water_64.extxyz"
    parser.add_argument("--model", default="water", help="model file or shipped model")
    parser.add_argument("--structure", type=Path, default=default_start, help="anything ASE reads")
    parser.add_argument("--molecules", type=int, nargs="+", default=[0], help="of the model")
    parser.add_argument("--minimise", type=int, default=200, help="iterations at most")
    parser.add_argument("--inner-steps", type=int, default=4, help="M of r-RESPA")
    parser.add_argument("--dt", type=float, default=0.5, help="inner time step, fs")
    parser.add_argument("--steps", type=int, default=500, help="outer steps")
    parser.add_argument("--every", type=int, default=50, help="outer steps between reports")
    parser.add_argument("--output", type=Path, default=Path("solvated.pdb"), help="last frame")
    options = parser.parse_args()

    atoms = ase.io.read(options.structure)
    topology = water_topology(atoms)
    mm_system = app.ForceField("tip3p.xml").createSystem(
        topology, nonbondedMethod=app.PME, nonbondedCutoff=0.5 * unit.nanometer, rigidWater=True
    )
    region = [3 * molecule + k for molecule in options.molecules for k in range(3)]
    system = create_mixed_system(topology, mm_system, region, options.model)
    integrator = RespaLangevinIntegrator(
        300 * unit.kelvin,
        1 / unit.picosecond,
        options.dt * options.inner_steps * unit.femtosecond,
        options.inner_steps,
    )
    integrator.setRandomNumberSeed(1)
    simulation = app.Simulation(topology, system, integrator)
    simulation.context.setPositions(from_ase(atoms).positions)
    simulation.minimizeEnergy(maxIterations=options.minimise)
    simulation.context.setVelocitiesToTemperature(300 * unit.kelvin, 1)
    simulation.reporters.append(
        app.StateDataReporter(
            sys.stdout, options.every, step=True, potentialEnergy=True, temperature=True
        )
    )
    simulation.step(options.steps)
    counts = evaluation_counts(simulation.context)
    print(f"evaluations: {counts.non_conservative} non-conservative, {counts.full} full")
    with options.output.open("w", encoding="utf-8") as file:
        positions = simulation.context.getState(positions=True).getPositions()
        app.PDBFile.writeFile(topology, positions, file)


if __name__ == "__main__":
    main()
