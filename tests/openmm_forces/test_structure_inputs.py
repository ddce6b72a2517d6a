"""A model that depends on total charge and spin, through OpenMM, against its closed form."""

import numpy as np
import pytest
import torch

from mlip_engines import MlipCalculator
from mlip_train.networks import build_network
from mlip_train.potentials.charged import ChargedLennardJones
from openmm_forces import RespaIntegrator, create_system, from_ase
from pair_oracle import pair_sums
from structures import STRUCTURES
from tests.openmm_forces.conftest import BASELINE, write_model
from tests.openmm_forces.runner import forces_of, make_context, single_point
from tolerances import TOLERANCE

PARAMETERS = {"cutoff": 3.5, "epsilon": 0.02, "sigma": 1.1, "curl": 0.01}
SLOPE, SPIN = 0.3, 0.01
LIMIT = TOLERANCE["float64"]


@pytest.fixture(scope="module")
def charged(tmp_path_factory):
    network = ChargedLennardJones(charge_slope=SLOPE, spin_energy=SPIN, **PARAMETERS)
    return write_model(tmp_path_factory.mktemp("charged") / "charged.pt", network, ["H", "O"])


@pytest.mark.parametrize("name", ["molecules", "triclinic"])
@pytest.mark.parametrize(("charge", "multiplicity"), [(0, 1), (-1, 2)])
def test_energy_and_forces_are_those_of_the_charge(charged, host, name, charge, multiplicity):
    atoms = STRUCTURES[name]()
    given = {"total_charge": charge, "spin_multiplicity": multiplicity, "host": host}
    found, forces = single_point(atoms, charged, **given)
    energy, exact_forces, head = pair_sums(atoms, **PARAMETERS)
    factor = 1.0 + SLOPE * charge
    energy = factor * energy + SPIN * (multiplicity - 1) * len(atoms)
    energy += sum(BASELINE[symbol] for symbol in atoms.symbols)
    assert found == pytest.approx(energy, abs=LIMIT.energy, rel=0)
    np.testing.assert_allclose(forces, factor * exact_forces, rtol=0, atol=LIMIT.force)
    _, direct = single_point(atoms, charged, forces="non_conservative", **given)
    expected = factor * (head - head.mean(axis=0))
    np.testing.assert_allclose(direct, expected, rtol=0, atol=LIMIT.force)


def test_respa_gives_the_charge_to_both_forces(charged, host):
    """With M = 1 the kick is that of the energy, whatever the head: positions are those of Verlet."""
    atoms = STRUCTURES["molecules"]()
    given = {"total_charge": 1, "spin_multiplicity": 2, "host": host}
    verlet = make_context(atoms, charged, RespaIntegrator(0.001, 1), **given)
    before = forces_of(verlet.getState(getForces=True))
    verlet.getIntegrator().step(3)
    after = forces_of(verlet.getState(getForces=True))
    neutral = make_context(
        atoms, charged, RespaIntegrator(0.001, 1), **{**given, "total_charge": 0}
    )
    ratio = before / forces_of(neutral.getState(getForces=True))
    np.testing.assert_allclose(ratio, 1.0 + SLOPE, rtol=1e-9)
    assert np.abs(after - before).max() > 0.0


def test_a_charge_that_is_not_given_is_asked_for(charged, host):
    topology = from_ase(STRUCTURES["molecule"]()).topology
    with pytest.raises(ValueError, match="depends on total_charge and spin_multiplicity"):
        create_system(topology, charged, host=host)


def test_a_charge_that_does_not_matter_is_refused(models, host):
    topology = from_ase(STRUCTURES["molecule"]()).topology
    with pytest.raises(ValueError, match="got total_charge, which this model does not depend on"):
        create_system(topology, models["water"], host=host, total_charge=0)


def test_a_network_of_ours_gives_what_ase_gives(tmp_path):
    torch.manual_seed(2)
    settings = {"name": "painn", "species": [1, 8], "cutoff": 3.5, "charge": True, "spin": True}
    settings |= {"n_features": 8, "n_layers": 1, "non_conservative_layer": 1, "n_force_layers": 0}
    network = build_network(settings).double()
    model = write_model(tmp_path / "ions.pt", network, ["H", "O"])
    energies = []
    for charge, multiplicity in ((0, 1), (-1, 2)):
        atoms = STRUCTURES["molecules"]()
        energy, forces = single_point(
            atoms, model, total_charge=charge, spin_multiplicity=multiplicity
        )
        atoms.info.update(charge=charge, spin=multiplicity)
        atoms.calc = MlipCalculator(model)
        assert energy == pytest.approx(atoms.get_potential_energy(), abs=LIMIT.energy, rel=0)
        np.testing.assert_allclose(forces, atoms.get_forces(), rtol=0, atol=LIMIT.force)
        energies.append(energy)
    assert abs(energies[1] - energies[0]) > 1e-3
