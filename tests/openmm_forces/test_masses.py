"""Heavier hydrogens: masses as OpenMM's own force fields give them, refused where bonds are missing."""

import pytest
from openmm import app, unit

from openmm_forces import create_system, from_ase
from structures import STRUCTURES
from tests.openmm_forces.mm_water import mm_system, topology_of


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
