"""Molecules stay whole: what OpenMM takes for a molecule, in pure and in mixed systems."""

import numpy as np
import openmm
import pytest
from openmm import app

from openmm_forces import create_mixed_system, create_system
from structures import STRUCTURES
from tests.conftest import is_installed
from tests.openmm_forces.mm_water import NM, energy_and_forces, mm_system, topology_of

N_MOLECULES = len(STRUCTURES["orthogonal"]()) // 3


def context_of(system):
    platform = openmm.Platform.getPlatformByName("Reference")
    return openmm.Context(system, openmm.VerletIntegrator(0.001), platform)


def assert_molecules_are_whole(system):
    """As many molecules as waters, and no bond longer than before in wrapped positions."""
    atoms = STRUCTURES["orthogonal"]()
    context = context_of(system)
    found = sorted(sorted(molecule) for molecule in context.getMolecules())
    assert found == [[3 * k, 3 * k + 1, 3 * k + 2] for k in range(N_MOLECULES)]
    whole = atoms.get_all_distances(mic=True)
    for shift in np.linspace(0.0, 1.0, 8):  # faces of the box through every molecule
        positions = atoms.positions.copy()
        for oxygen in range(0, len(atoms), 3):  # hydrogens next to their oxygen
            vectors = atoms.get_distances(oxygen, [oxygen + 1, oxygen + 2], mic=True, vector=True)
            positions[oxygen + 1 : oxygen + 3] = positions[oxygen] + vectors
        positions += shift * atoms.cell.array[0]
        context.setPositions(positions * NM)
        state = context.getState(positions=True, enforcePeriodicBox=True)
        wrapped = state.getPositions(asNumpy=True)._value / NM
        for oxygen in range(0, len(atoms), 3):
            for hydrogen in (oxygen + 1, oxygen + 2):
                distance = np.linalg.norm(wrapped[hydrogen] - wrapped[oxygen])
                assert distance == pytest.approx(whole[oxygen, hydrogen], abs=1e-6)


def test_molecules_of_the_topology(models, any_host):
    topology = topology_of(STRUCTURES["orthogonal"]())
    assert_molecules_are_whole(create_system(topology, models["water"], host=any_host))


@pytest.mark.parametrize("rigid", [False, True])
def test_molecules_of_a_mixed_system(models, any_host, rigid):
    """Inside the region, where bonds and constraints of the force field are gone, and outside."""
    topology = topology_of(STRUCTURES["orthogonal"]())
    options = {"nonbondedMethod": app.CutoffPeriodic, "nonbondedCutoff": 0.3, "rigidWater": rigid}
    mm = mm_system(topology, **options)
    region = [0, 1, 2, 9, 10, 11]
    assert_molecules_are_whole(
        create_mixed_system(topology, mm, region, models["water"], host=any_host)
    )


@pytest.mark.skipif(not is_installed("openmmml"), reason="openmm-ml is not installed")
def test_molecules_of_openmm_ml(models):
    from openmmml import MLPotential

    topology = topology_of(STRUCTURES["orthogonal"]())
    potential = MLPotential("mlip", modelPath=models["water"])
    assert_molecules_are_whole(potential.createSystem(topology))


def test_bonds_have_no_energy(models, any_host):
    """With and without bonds in the topology, to the last digit."""
    atoms = STRUCTURES["orthogonal"]()
    bonded = topology_of(atoms)
    free = topology_of(atoms)
    free._bonds.clear()
    found = [
        energy_and_forces(create_system(t, models["water"], host=any_host), atoms.positions * NM)
        for t in (bonded, free)
    ]
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-9)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=0, atol=1e-9)
