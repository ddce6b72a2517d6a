"""The potential ``mlip`` of openmm-ml, through its entry point."""

import subprocess
import sys

import numpy as np
import openmm
import pytest
from openmm import app

import openmm_forces
from mlip_engines import ModelContractError
from openmm_forces import RespaIntegrator, create_mixed_system, create_system, evaluation_counts
from structures import STRUCTURES
from tests.openmm_forces.mm_water import NM, energy_and_forces, mm_system, topology_of
from tests.openmm_forces.runner import EV
from tolerances import TOLERANCE

openmmml = pytest.importorskip("openmmml", reason="openmm-ml is not installed")

FORCE = TOLERANCE["float64"].force * EV / NM  # kJ/mol/nm
ENERGY = TOLERANCE["float64"].energy * EV  # kJ/mol


def test_potential_is_found_without_importing_torch():
    script = (
        "import sys; from openmmml import MLPotential;"
        "assert 'mlip' in MLPotential._implFactories; assert 'torch' not in sys.modules"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr


def test_public_names_can_be_imported():
    for name in openmm_forces.__all__:
        assert getattr(openmm_forces, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        openmm_forces.nothing  # noqa: B018


@pytest.mark.parametrize("name", ["molecules", "orthogonal"])
def test_system_equals_create_system(models, host, name):
    """Vacuum and periodic; a shipped model goes by its name."""
    atoms = STRUCTURES[name]()
    topology = topology_of(atoms)
    potential = openmmml.MLPotential("mlip", modelPath=models["water"])
    systems = (
        potential.createSystem(topology, host=host),
        create_system(topology, models["water"], host=host),
    )
    (energy, forces), (reference, reference_forces) = (
        energy_and_forces(system, atoms.positions * NM) for system in systems
    )
    assert energy == pytest.approx(reference, abs=ENERGY, rel=0)
    np.testing.assert_allclose(forces, reference_forces, rtol=0, atol=FORCE)


def test_shipped_model_goes_by_its_name_and_runs_respa():
    atoms = STRUCTURES["molecules"]()
    system = openmmml.MLPotential("mlip", modelPath="water").createSystem(topology_of(atoms))
    integrator = RespaIntegrator(0.0004, 4)
    context = openmm.Context(system, integrator)
    context.setPositions(atoms.positions * NM)
    integrator.step(1)
    before = evaluation_counts(context)
    integrator.step(2)
    after = evaluation_counts(context)
    assert (after.non_conservative - before.non_conservative, after.full - before.full) == (6, 2)


def test_interpolation_goes_from_the_force_field_to_the_mixed_system(models):
    """openmm-ml puts the force into a CustomCVForce for it."""
    atoms = STRUCTURES["molecules"]()
    topology = topology_of(atoms)
    system = mm_system(topology)
    region = list(range(3, 9))
    potential = openmmml.MLPotential("mlip", modelPath=models["water"])
    interpolated = potential.createMixedSystem(topology, system, region, interpolate=True)
    integrator = openmm.VerletIntegrator(0.001)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(interpolated, integrator, platform)
    context.setPositions(atoms.positions * NM)
    mixed = create_mixed_system(topology, system, region, models["water"])
    for value, reference in ((0.0, system), (1.0, mixed)):
        context.setParameter("lambda_interpolate", value)
        state = context.getState(getEnergy=True, getForces=True)
        energy, forces = energy_and_forces(reference, atoms.positions * NM)
        assert state.getPotentialEnergy()._value == pytest.approx(energy, abs=ENERGY, rel=0)
        found = np.array(state.getForces(asNumpy=True)._value)
        np.testing.assert_allclose(found, forces, rtol=0, atol=FORCE)


def test_bad_input(models):
    with pytest.raises(ValueError, match=r"expected MLPotential\('mlip', modelPath=\.\.\.\)"):
        openmmml.MLPotential("mlip")
    with pytest.raises(FileNotFoundError, match="expected a model file"):
        openmmml.MLPotential("mlip", modelPath="no_such_model")
    with pytest.raises(TypeError, match="unknown keyword .precision.; it knows host, forces"):
        openmmml.MLPotential("mlip", modelPath=models["water"], precision="single")
    potential = openmmml.MLPotential("mlip", modelPath=models["no_head"])
    topology = app.Topology()
    residue = topology.addResidue("AR", topology.addChain())
    topology.addAtom("AR", app.element.argon, residue)
    with pytest.raises(ModelContractError, match="expected a head for non-conservative forces"):
        potential.createSystem(topology, forces="non_conservative")
    topology.addAtom("M", None, residue)
    with pytest.raises(ValueError, match="an element for every atom, got none for atom 1"):
        potential.createSystem(topology)
