"""PaiNN that depends on total charge and spin multiplicity: the network, its training, its model file."""

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from mlip_engines import MlipCalculator, check_conformance
from mlip_engines.commands.export import main as export
from mlip_engines.model.graph import batch_graphs
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.command import main as train
from mlip_train.data.store import StructureStore
from mlip_train.networks import build_network
from structures import STRUCTURES
from tests.labelled import argon_frames
from tolerances import TOLERANCE

EQUALITY = TOLERANCE["float64"].equality
SMALL = {"n_features": 12, "n_basis": 6, "n_layers": 2, "non_conservative_layer": 1}
INPUTS = ["total_charge", "spin_multiplicity"]
RECIPE = """
name: ions
network: {name: painn, cutoff: 5.0, n_features: 12, n_basis: 8, n_layers: 2, non_conservative_layer: 0, charge: true}
n_validation: 4
n_test: 8
batch_size: 4
average_decay: 0.9
stages: [{name: both, epochs: 25, learning_rate: 0.01, weights: {energy: 0.2, conservative: 1.0}}]
"""


@pytest.fixture
def network():
    torch.manual_seed(4)
    settings = {"name": "painn", "species": [1, 8], "cutoff": 4.0, "charge": True, "spin": True}
    return build_network({**settings, **SMALL}).double().eval()


def ion(charge, multiplicity, name="molecules"):
    atoms = STRUCTURES[name]()
    atoms.info.update(charge=charge, spin=multiplicity)
    return atoms


def test_it_keeps_the_contract(network):
    assert network.structure_inputs == INPUTS
    check_conformance(network, ["H", "O"], rotation=True)


def test_a_neutral_singlet_is_what_it_is_without_charge_and_spin(network):
    plain = build_network({"name": "painn", "species": [1, 8], "cutoff": 4.0, **SMALL})
    shared = {k: v for k, v in network.state_dict().items() if not k.startswith("of_")}
    plain.load_state_dict(shared)
    graphs = [neighbor_graph(ion(*state), 4.0, INPUTS) for state in ((0, 1), (1, 2), (0, 3))]
    expected = plain.double().eval()(graphs[0], True)
    neutral, cation, triplet = (network(graph, True) for graph in graphs)
    for key, value in expected.items():
        torch.testing.assert_close(neutral[key], value, rtol=EQUALITY, atol=EQUALITY)
        for other in (cation, triplet):
            assert (other[key] - value).abs().max() > 1e-4


def test_a_batch_has_a_charge_for_each_structure(network):
    states = [(0, 1), (-1, 2), (1, 2)]
    graphs = [neighbor_graph(ion(*state), 4.0, INPUTS) for state in states]
    together = network(batch_graphs(graphs)[0], True)
    for key, value in together.items():
        alone = torch.cat([network(graph, True)[key] for graph in graphs])
        torch.testing.assert_close(value, alone, rtol=EQUALITY, atol=EQUALITY)


def charged_frames(n_frames):
    """Argon and ions of the same geometries, whose forces and energies are 1.5 times as large."""
    frames = []
    for atoms in argon_frames(n_frames):
        for charge in (0, 1):
            factor = 1.0 + 0.5 * charge
            results = {name: factor * atoms.calc.results[name] for name in ("energy", "forces")}
            frames.append(Atoms(atoms, info={"charge": charge}))
            frames[-1].calc = SinglePointCalculator(frames[-1], **results)
    return frames


@pytest.mark.training
@pytest.mark.slow
def test_two_charges_of_one_geometry_are_learned_apart(tmp_path, capsys):
    data, recipe, run = tmp_path / "ions.xyz", tmp_path / "ions.yaml", tmp_path / "run"
    frames = charged_frames(20)
    ase.io.write(data, frames, format="extxyz")
    recipe.write_text(RECIPE)
    assert train([str(recipe), "--data", str(data), "-o", str(run)]) == 0
    assert export([str(run / "checkpoint.pt"), "-o", str(tmp_path / "ions.pt")]) == 0
    calculator = MlipCalculator(tmp_path / "ions.pt")
    found, ratios = [], []
    for neutral, charged in zip(frames[::2], frames[1::2], strict=True):
        forces = []
        for atoms in (neutral, charged):
            atoms = atoms.copy()
            atoms.calc = calculator
            forces.append(atoms.get_forces())
        ratios.append(np.vdot(*forces) / np.vdot(forces[0], forces[0]))
        found.append(forces[1] - charged.get_forces())
    assert np.median(ratios) == pytest.approx(1.5, abs=0.1)
    # A network that is blind to the charge could do no better than be 0.25 wrong for both.
    exact = np.sqrt(np.mean(np.square([atoms.get_forces() for atoms in frames[::2]])))
    assert np.sqrt(np.mean(np.square(found))) < 0.15 * exact
    capsys.readouterr()
    del frames[3].info["charge"]
    ase.io.write(data, frames, format="extxyz")
    assert train([str(recipe), "--data", str(data), "-o", str(tmp_path / "other")]) == 1
    assert "structure 3: the network depends on total_charge" in capsys.readouterr().err


def test_a_store_on_disk_keeps_them(tmp_path):
    frames = charged_frames(1)
    frames[0].info["spin"] = 3
    stored = StructureStore.write(tmp_path / "store", frames, "here")
    assert [atoms.info["total_charge"] for atoms in stored] == [0.0, 1.0]
    assert stored[0].info["spin_multiplicity"] == 3.0
    assert "spin_multiplicity" not in stored[1].info
