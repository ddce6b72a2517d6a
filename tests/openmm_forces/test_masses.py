"""Masses: of heavier hydrogens, of isotopes and of atoms that do not move."""

import ase.io
import numpy as np
import openmm
import pytest
from ase.constraints import FixAtoms, FixBondLength
from openmm import app, unit

from openmm_forces import ExtendedXYZReporter, RespaIntegrator, create_system, from_ase
from structures import STRUCTURES
from tests.openmm_forces.mm_water import mm_system, topology_of
from tests.openmm_forces.runner import EV


def masses(system):
    return [system.getParticleMass(k)._value for k in range(system.getNumParticles())]


@pytest.mark.parametrize("mass", [3.024, 3.024 * unit.dalton, 2.5 * unit.gram / unit.mole])
def test_masses_are_those_of_a_force_field_with_the_same_hydrogen_mass(models, mass):
    topology = topology_of(STRUCTURES["molecules"]())
    found = create_system(topology, models["water"], hydrogen_mass=mass, remove_cm_motion=False)
    dalton = mass if unit.is_quantity(mass) else mass * unit.dalton
    expected = mm_system(topology, hydrogenMass=dalton)
    assert masses(found) == pytest.approx(masses(expected), abs=1e-12)
    plain = create_system(topology, models["water"], remove_cm_motion=False)
    assert sum(masses(found)) == pytest.approx(sum(masses(plain)))
    assert masses(found)[0] < masses(plain)[0] and masses(found)[1] > 2 * masses(plain)[1]


def test_hydrogens_without_a_bond_are_named(models):
    topology = from_ase(STRUCTURES["molecule"]()).topology  # ASE knows no bonds
    with pytest.raises(ValueError, match=r"bond of every hydrogen .* none for 2, the first atom 1"):
        create_system(topology, models["water"], hydrogen_mass=3.0)


def test_a_heavy_atom_keeps_some_mass(models):
    topology = topology_of(STRUCTURES["molecule"]())
    with pytest.raises(ValueError, match=r"atom 0 \(O\) would have -.* left; take less than 9.5"):
        create_system(topology, models["water"], hydrogen_mass=9.5)


def test_two_hydrogens_are_no_bond_to_a_heavy_atom(models):
    topology = app.Topology()
    residue = topology.addResidue("H2", topology.addChain())
    pair = [topology.addAtom(name, app.element.hydrogen, residue) for name in ("H1", "H2")]
    topology.addBond(*pair)
    with pytest.raises(ValueError, match="none for 2"):
        create_system(topology, models["water"], hydrogen_mass=3.0)


def test_isotopes_of_ase_keep_their_masses(models):
    """Kinetic energy of heavy water as ASE has it."""
    atoms = STRUCTURES["molecules"]()
    atoms.set_masses(np.where(atoms.numbers == 1, 2.014, 15.999))
    atoms.set_momenta(np.random.default_rng(1).normal(size=(len(atoms), 3)))
    structure = from_ase(atoms)
    system = create_system(structure.topology, models["water"])
    context = openmm.Context(system, RespaIntegrator(0.001, 2))  # velocities at the same time
    context.setPositions(structure.positions)
    context.setVelocities(structure.velocities)
    kinetic = context.getState(energy=True).getKineticEnergy()._value / EV
    assert kinetic == pytest.approx(atoms.get_kinetic_energy(), rel=1e-6)
    assert masses(system) == pytest.approx(atoms.get_masses(), abs=1e-12)


def test_fixed_atoms_of_ase_do_not_move(models):
    atoms = STRUCTURES["molecules"]()
    atoms.set_momenta(np.ones((len(atoms), 3)), apply_constraint=False)
    atoms.set_constraint(FixAtoms([1, 4]))
    structure = from_ase(atoms)
    system = create_system(structure.topology, models["water"])
    assert not any(isinstance(force, openmm.CMMotionRemover) for force in system.getForces())
    context = openmm.Context(system, RespaIntegrator(0.0005, 2))
    context.setPositions(structure.positions)
    context.setVelocities(structure.velocities)
    context.getIntegrator().step(3)
    moved = context.getState(positions=True).getPositions(asNumpy=True) - structure.positions
    distances = np.linalg.norm(np.array(moved._value), axis=1)
    assert (distances[[1, 4]] == 0.0).all()
    assert (np.delete(distances, [1, 4]) > 1e-5).all()


def test_other_constraints_of_ase_are_named():
    atoms = STRUCTURES["molecules"]()
    atoms.set_constraint(FixBondLength(0, 1))
    with pytest.warns(UserWarning, match="FixBondLengths does not act in OpenMM; only FixAtoms"):
        from_ase(atoms)


def test_masses_of_a_topology_that_has_changed(models):
    atoms = STRUCTURES["molecule"]()
    atoms.set_masses([16.0, 2.0, 2.0])
    topology = from_ase(atoms).topology
    topology.addAtom("H", app.element.hydrogen, next(topology.residues()))
    with pytest.raises(ValueError, match="expected 3 atoms, as in the structure .* got 4; set"):
        create_system(topology, models["water"])
    topology.masses = None
    assert masses(create_system(topology, models["water"]))[1] == pytest.approx(1.008, abs=1e-3)


def test_deuterium_of_a_topology_is_written_for_ase(models, tmp_path):
    atoms = STRUCTURES["molecule"]()
    topology = topology_of(atoms)
    for atom in list(topology.atoms())[1:]:
        atom.element = app.element.deuterium
    system = create_system(topology, models["water"])
    simulation = app.Simulation(topology, system, openmm.VerletIntegrator(0.0001))
    simulation.context.setPositions(atoms.positions * 0.1)
    simulation.reporters.append(ExtendedXYZReporter(tmp_path / "frames.extxyz", 1))
    simulation.step(1)
    frame = ase.io.read(tmp_path / "frames.extxyz")
    assert frame.get_chemical_symbols() == ["O", "H", "H"]
    assert frame.get_masses()[1:] == pytest.approx(2.0136, abs=1e-3)
