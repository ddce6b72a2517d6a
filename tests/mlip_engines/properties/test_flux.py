"""The heat flux of structures: the motion of the energy, and what images and the choice of a cell must not change."""

import ase.units
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from mlip_engines import load_model
from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.evaluation import centroid_virials
from mlip_engines.model.exported import ExportedModel
from mlip_engines.model.neighbors import neighbor_graph
from mlip_engines.properties import heat_flux
from mlip_train.networks.painn import PaiNN
from mlip_train.networks.pet import PET
from structures import STRUCTURES
from tests.lammps_plugin.model_files import export_network
from tolerances import EXACT, FINITE_DIFFERENCE_STEP, TOLERANCE

PS = 1000.0 * ase.units.fs
NETWORKS = {
    "painn": lambda: PaiNN([1, 8], 2.5, n_features=6, n_basis=5, n_layers=3),
    "pet": lambda: PET([1, 8], 2.6, n_edge_features=8, n_heads=2, n_layers=2),
}


@pytest.fixture(scope="module", params=NETWORKS)
def model(request, tmp_path_factory):
    torch.manual_seed(4)
    path = tmp_path_factory.mktemp("flux") / "model.pt"
    return load_model(export_network(NETWORKS[request.param](), path))


def moving(atoms: Atoms, speed: float = 2.0) -> Atoms:
    """With random velocities of so many Å/ps."""
    generator = np.random.default_rng(3)
    atoms.set_velocities(generator.normal(scale=speed / PS, size=(len(atoms), 3)))
    return atoms


def test_the_flux_of_a_cluster_is_the_motion_of_its_energy(model):
    """With kinetic energies, d/dt sum_i r_i e_i; forces F_j change those by F_j v_j, and nothing else does."""
    atoms = moving(STRUCTURES["molecules"]())
    start, velocities = atoms.positions.copy(), atoms.get_velocities() * PS

    def evaluated(time: float) -> dict[str, np.ndarray]:
        atoms.positions = start + time * velocities
        found = model.evaluate(neighbor_graph(atoms, model.metadata.cutoff))
        return {key: value.numpy() for key, value in found.items()}

    def moment(time: float) -> np.ndarray:
        return evaluated(time)["atomic_energies"] @ (start + time * velocities)

    step = 0.1 * FINITE_DIFFERENCE_STEP  # ps; atoms move some 1e-5 Å
    motion = (moment(step) - moment(-step)) / (2 * step)
    power = (evaluated(0.0)["forces"] * velocities).sum(axis=1)  # eV/ps
    kinetic = 0.5 * atoms.get_masses() * (atoms.get_velocities() ** 2).sum(axis=1)
    expected = motion + power @ start + kinetic @ velocities
    atoms.positions = start
    found = heat_flux(model, atoms)
    np.testing.assert_allclose(found.total, expected, rtol=1e-6)
    assert np.abs(found.potential).max() > 1.0  # eV Å/ps


@pytest.mark.parametrize("name", ["triclinic", "cell_smaller_than_cutoff", "slab"])
def test_the_flux_does_not_depend_on_how_the_structure_is_written_down(model, name):
    """Cells beside each other have the flux of each; atoms may be anywhere, in any image."""
    atoms = moving(STRUCTURES[name]())
    one = heat_flux(model, atoms)
    assert np.abs(one.potential).max() > 0.1
    two = atoms.repeat((2, 1, 1))
    np.testing.assert_allclose(heat_flux(model, two).potential, 2 * one.potential, rtol=1e-9)
    moved = atoms.copy()
    moved.positions += [3.0, -20.0, 0.7]
    moved.positions[0] += atoms.cell.array[0] - 2 * atoms.cell.array[1]
    np.testing.assert_allclose(heat_flux(model, moved).total, one.total, rtol=1e-9)


def test_no_velocities_no_neighbours_no_flux(model):
    still = heat_flux(model, STRUCTURES["molecules"]())
    assert np.abs(still.total).max() == 0.0
    alone = heat_flux(model, moving(STRUCTURES["no_neighbours"]()))
    assert np.abs(alone.potential).max() < EXACT < np.abs(alone.convective).max()


def test_shipped_models_give_it_in_single_precision():
    """Of a moving crystal, whose atoms carry all: the virials of its atoms cancel, where no energy goes anywhere."""
    atoms = bulk("Cu", a=3.63, cubic=True)
    atoms.set_velocities(np.full((4, 3), 1.0 / PS))
    found = heat_flux(load_model("copper"), atoms)
    virial = load_model("copper").evaluate(neighbor_graph(atoms, 5.0))["virial"].numpy()
    np.testing.assert_allclose(
        found.potential, virial.sum(axis=1), atol=TOLERANCE["float32"].virial
    )


def test_an_older_file_says_how_it_is_written_anew(monkeypatch):
    monkeypatch.delattr(ExportedModel, "centroid_virials")
    older = ExportedModel(NETWORKS["painn"](), {}, 1.0)
    graph = neighbor_graph(STRUCTURES["molecule"](), 3.0)
    with pytest.raises(ModelContractError, match="export it again: mlip-export OLD.pt -o NEW.pt"):
        centroid_virials(older, graph, torch.zeros((3, 3), dtype=torch.float64))
