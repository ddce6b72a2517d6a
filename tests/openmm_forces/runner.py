"""ASE structures through the real OpenMM; results in eV and Å, in the orientation of the structure."""

from pathlib import Path

import numpy as np
import openmm
from ase import Atoms
from openmm import unit
from scipy import constants

from openmm_forces import create_system, from_ase
from tolerances import FINITE_DIFFERENCE_STEP

EV = constants.e * constants.N_A / 1000.0  # kJ/mol, exact in the SI


def make_context(
    atoms: Atoms,
    model: Path,
    integrator: openmm.Integrator | None = None,
    *,
    velocities: np.ndarray | None = None,
    extra_forces: tuple[openmm.Force, ...] = (),
    platform: str = "CPU",
    remove_cm_motion: bool = False,
    **options,
) -> openmm.Context:
    """Build a Context; ``velocities`` in Å/ps, further options are those of ``create_system``.

    Masses are those of the structure: OpenMM's own table differs from ASE's in the sixth digit.
    """
    structure = from_ase(atoms)
    system = create_system(structure.topology, model, remove_cm_motion=remove_cm_motion, **options)
    for particle, mass in enumerate(atoms.get_masses()):
        system.setParticleMass(particle, mass)
    for force in extra_forces:
        system.addForce(force)
    if integrator is None:
        integrator = openmm.VerletIntegrator(0.001)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(platform))
    context.setPositions(structure.positions)
    if velocities is not None:
        context.setVelocities(velocities @ structure.rotation.T / 10.0)
    return context


def single_point(atoms: Atoms, model: Path, **options) -> tuple[float, np.ndarray]:
    """Return energy (eV) and forces (N, 3) in eV/Å."""
    context = make_context(atoms, model, **options)
    state = context.getState(getEnergy=True, getForces=True)
    return energy_of(state), forces_of(state) @ from_ase(atoms).rotation


def finite_strain_stress(atoms: Atoms, model: Path, step=FINITE_DIFFERENCE_STEP, **options):
    """Return the stress (3, 3) in eV/Å^3, ASE's sign, from energies of strained structures."""
    stress = np.zeros((3, 3))
    for a in range(3):
        for b in range(a, 3):
            energies = []
            for sign in (1.0, -1.0):
                strain = np.zeros((3, 3))
                strain[a, b] += 0.5 * sign * step
                strain[b, a] += 0.5 * sign * step
                strained = atoms.copy()
                strained.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
                energies.append(single_point(strained, model, **options)[0])
            stress[a, b] = stress[b, a] = (energies[0] - energies[1]) / (2 * step)
    return stress / atoms.get_volume()


def energy_of(state: openmm.State) -> float:
    """Potential energy, eV."""
    return state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole) / EV


def total_energy_of(context: openmm.Context) -> float:
    """Potential and kinetic energy, eV."""
    state = context.getState(getEnergy=True)
    total = state.getPotentialEnergy() + state.getKineticEnergy()
    return total.value_in_unit(unit.kilojoule_per_mole) / EV


def forces_of(state: openmm.State) -> np.ndarray:
    """Forces (N, 3) in eV/Å, in OpenMM's orientation."""
    forces = state.getForces(asNumpy=True)
    return forces.value_in_unit(unit.kilojoule_per_mole / unit.nanometer) / EV / 10.0


def positions_of(context: openmm.Context) -> np.ndarray:
    """Positions (N, 3) in Å, as integrated, in OpenMM's orientation."""
    state = context.getState(getPositions=True)
    return state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)


def velocities_of(context: openmm.Context) -> np.ndarray:
    """Velocities (N, 3) in Å/ps, in OpenMM's orientation."""
    state = context.getState(getVelocities=True)
    return state.getVelocities(asNumpy=True).value_in_unit(unit.angstrom / unit.picosecond)
