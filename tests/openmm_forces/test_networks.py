"""Every network that can be trained runs in OpenMM: energies, both forces and r-RESPA."""

import ase.units
import numpy as np
import pytest
import torch

from mlip_engines import MlipCalculator
from mlip_train.networks import build_network
from openmm_forces import RespaIntegrator
from structures import STRUCTURES
from tests.lammps_plugin.model_files import export_network
from tests.openmm_forces.runner import make_context, positions_of, single_point
from tests.respa_steps import moving, respa_steps
from tests.small_networks import NETWORKS
from tolerances import TOLERANCE

pytestmark = pytest.mark.openmm

LIMIT = TOLERANCE["float64"]
PER_PS = 1000.0 * ase.units.fs  # Å/ps in the velocity unit of ASE
# PaiNN and PET have tests of their own.
OTHERS = sorted(set(NETWORKS) - {"painn", "pet"})


@pytest.fixture(scope="module", params=OTHERS)
def model(request, tmp_path_factory):
    torch.manual_seed(7)
    settings = {"name": request.param, "species": [1, 8], "cutoff": 3.0, **NETWORKS[request.param]}
    path = tmp_path_factory.mktemp("networks") / f"{request.param}.pt"
    return export_network(build_network(settings).eval(), path, scale=5.0)


@pytest.mark.parametrize("forces", ["conservative", "non_conservative"])
def test_openmm_gives_what_ase_gives(model, forces):
    atoms = STRUCTURES["orthogonal"]()
    energy, found = single_point(atoms, model, forces=forces)
    atoms.calc = MlipCalculator(model, forces=forces)
    np.testing.assert_allclose(found, atoms.get_forces(), rtol=0, atol=LIMIT.force)
    if forces == "conservative":
        assert abs(energy - atoms.get_potential_energy()) < LIMIT.energy


def test_respa_follows_its_equations(model):
    atoms = moving(STRUCTURES["orthogonal"]())
    integrator = RespaIntegrator(0.0015, 3)
    context = make_context(atoms, model, integrator, velocities=atoms.get_velocities() * PER_PS)
    integrator.step(4)
    expected = respa_steps(atoms, model, 0.5, 3, 4)
    np.testing.assert_allclose(positions_of(context), expected, rtol=0, atol=LIMIT.position)
