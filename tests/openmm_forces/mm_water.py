"""Water of OpenMM's own force fields, as topology, System and Context."""

import numpy as np
import openmm
from ase import Atoms
from openmm import app

NM = 0.1  # of an Å


def topology_of(atoms: Atoms) -> app.Topology:
    """Return one residue HOH with two bonds for each O, H, H."""
    topology = app.Topology()
    chain = topology.addChain()
    for _ in range(len(atoms) // 3):
        residue = topology.addResidue("HOH", chain)
        oxygen = topology.addAtom("O", app.element.oxygen, residue)
        for name in ("H1", "H2"):
            topology.addBond(oxygen, topology.addAtom(name, app.element.hydrogen, residue))
    if atoms.pbc.all():
        topology.setPeriodicBoxVectors([openmm.Vec3(*row) for row in atoms.cell.array * NM])
    return topology


def mm_system(topology: app.Topology, force_field: str = "tip3p.xml", **options) -> openmm.System:
    """Return the System of a force field, flexible unless said otherwise."""
    options = {"nonbondedMethod": app.NoCutoff, "rigidWater": False, **options}
    return app.ForceField(force_field).createSystem(topology, **options)


def energy_and_forces(system: openmm.System, positions_nm: np.ndarray) -> tuple[float, np.ndarray]:
    """Return energy (kJ/mol) and forces (n, 3) in kJ/mol/nm."""
    integrator = openmm.VerletIntegrator(0.001)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, integrator, platform)
    context.setPositions(positions_nm)
    context.computeVirtualSites()
    state = context.getState(getEnergy=True, getForces=True)
    return state.getPotentialEnergy()._value, np.array(state.getForces(asNumpy=True)._value)
