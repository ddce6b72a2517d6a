"""Stress: derivatives against strained energies, heads against symmetry, labels against ASE, terms of the loss."""

import copy
import json

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from mlip_engines import ModelMetadata, export_model
from mlip_engines.commands.eval import main as evaluate_file
from mlip_engines.commands.export import main as export
from mlip_engines.conformance import check_conformance
from mlip_engines.model.load import load_model
from mlip_engines.model.neighbors import neighbor_graph
from mlip_engines.readers import read_structures
from mlip_train.command import main as train
from mlip_train.data.augmentation import random_orthogonal, turned
from mlip_train.data.batching import collate
from mlip_train.data.structure import prepare
from mlip_train.loop.losses import loss
from mlip_train.loop.prediction import predict
from mlip_train.loss_weights import LossWeights
from mlip_train.networks import build_network
from structures import STRUCTURES
from tests.labelled import argon_frames, write_recipe
from tests.small_networks import CUTOFF, NETWORKS, STRESS_RECIPE
from tolerances import EXACT, FINITE_DIFFERENCE_STEP, FINITE_DIFFERENCE_VIRIAL, TOLERANCE

LIMIT = TOLERANCE["float64"]


@pytest.fixture(params=NETWORKS)
def network(request):
    torch.manual_seed(3)
    settings = {"name": request.param, "species": [1, 8], "cutoff": CUTOFF}
    settings |= {"non_conservative_stress": True, **NETWORKS[request.param]}
    return build_network(settings).double().eval()


def labelled(name, stress=None, energy=0.0):
    atoms = STRUCTURES[name]()
    labels = {"energy": energy, "forces": np.zeros((len(atoms), 3))}
    if stress is not None:
        labels["stress"] = np.asarray(stress)
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def answer(network, frames, **options):
    batch = collate(
        [prepare(atoms, CUTOFF) for atoms in frames], torch.zeros(119), CUTOFF, torch.float64
    )
    wanted = {"differentiate": True, "with_non_conservative": True, "create_graph": False}
    return batch, predict(network, batch, 0.7, **{**wanted, "with_stress": True, **options})


def strained(atoms, strain):
    moved = atoms.copy()
    moved.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return moved


def test_virials_of_a_batch_are_strain_derivatives_of_each_energy(network):
    frames = [STRUCTURES[name]() for name in ("triclinic", "cell_smaller_than_cutoff")]
    _, prediction = answer(network, frames)
    h = FINITE_DIFFERENCE_STEP
    expected = torch.zeros(2, 3, 3, dtype=torch.float64)
    for a in range(3):
        for b in range(3):
            strain = np.zeros((3, 3))
            strain[a, b] = h
            at = {
                k: answer(network, [strained(atoms, k * strain) for atoms in frames])[1].energies
                for k in (-2, -1, 1, 2)
            }
            slope = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * h)
            expected[:, a, b] = -slope.detach()
    expected = 0.5 * (expected + expected.mT)
    assert expected.abs().min() > 10 * FINITE_DIFFERENCE_VIRIAL
    torch.testing.assert_close(
        prediction.virials.detach(), expected, rtol=0, atol=FINITE_DIFFERENCE_VIRIAL
    )


def test_networks_with_a_head_for_stress_pass_the_conformance_check(network):
    passed = check_conformance(network, ["H", "O"], rotation=network.__class__.__name__ == "PaiNN")
    assert "smooth at the cutoff" in passed


def test_the_head_of_painn_sees_the_strain_of_a_crystal_with_inversion_symmetry():
    """Where every atom is a centre of inversion vector features vanish, and the stress of a strained crystal stays."""
    torch.manual_seed(1)
    network = build_network(
        {"name": "painn", "species": [29], "cutoff": CUTOFF, "non_conservative_stress": True}
    ).double()
    atoms = bulk("Cu", "fcc", a=3.6)
    shear = np.zeros((3, 3))
    shear[0, 1] = shear[1, 0] = 0.02
    virials = []
    for structure in (atoms, strained(atoms, shear)):
        output = network.non_conservative(neighbor_graph(structure, CUTOFF))
        assert output["non_conservative_forces"].abs().max() < EXACT
        virials.append(output["non_conservative_virials"][0].detach())
    cubic = virials[0][0, 0] * torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(virials[0], cubic, rtol=0, atol=EXACT)
    assert (virials[1] - virials[0])[0, 1].abs() > 1e-3


def test_a_file_sums_atomic_virials_of_owned_atoms_in_units_of_the_scale(network, tmp_path):
    metadata = ModelMetadata(
        name="test",
        species=["H", "O"],
        cutoff=network.cutoff,
        message_passing_layers=network.message_passing_layers,
        interaction_range=network.cutoff * network.message_passing_layers,
        heads=network.heads,
        dtype="float64",
    )
    export_model(copy.deepcopy(network), metadata, tmp_path / "model.pt", scale=1.5)
    model = load_model(tmp_path / "model.pt")
    graph = neighbor_graph(STRUCTURES["triclinic"](), CUTOFF)
    atomic = network.non_conservative(graph)["non_conservative_virials"].detach()
    assert atomic.shape == (12, 3, 3) and atomic.abs().min() > 0.0
    owned = torch.arange(12) < 5
    for mask in (owned, ~owned, torch.ones(12, dtype=torch.bool)):
        found = model.non_conservative(graph._replace(owned=mask))
        expected = 1.5 * atomic[mask].sum(dim=0)
        torch.testing.assert_close(
            found["non_conservative_virial"], expected, rtol=0, atol=LIMIT.virial
        )


@pytest.mark.parametrize("name", NETWORKS)
def test_a_head_for_stress_needs_one_for_forces(name):
    wrong = {"non_conservative_layer": 0, "non_conservative_stress": True}
    with pytest.raises(ValueError, match="non_conservative_layer"):
        build_network({"name": name, "species": [1], **wrong})


@pytest.mark.training
def test_stress_terms_are_those_of_virials_per_atom_and_leave_out_who_has_no_label(network):
    network.train()
    stress = [0.01, 0.02, -0.03, 0.004, -0.005, 0.006]
    frames = [labelled("triclinic", stress), labelled("orthogonal"), labelled("molecule")]
    batch, prediction = answer(network, frames, create_graph=True)
    assert batch.labels.has_stress.tolist() == [True, False, False]
    weights = LossWeights(
        energy=0.0,
        stress=2.0,
        non_conservative_stress=3.0,
        functions={"stress": "mse", "non_conservative_stress": "mae"},
    )
    terms = loss(prediction, batch, weights)
    atoms = frames[0]
    label = torch.tensor(-atoms.get_volume() * atoms.get_stress(voigt=False))
    errors = [
        (virials[0].detach() - label) / 12
        for virials in (prediction.virials, prediction.non_conservative_virials)
    ]
    limit = LIMIT.virial
    values = {name: float(term.detach()) for name, term in terms.items()}
    assert values["stress"] == pytest.approx(2.0 * float(errors[0].square().mean()), abs=limit)
    assert values["non_conservative_stress"] == pytest.approx(
        3.0 * float(errors[1].abs().mean()), abs=limit
    )
    terms["stress"].backward(retain_graph=True)
    assert any(p.grad is not None and p.grad.any() for p in network.energy_head.parameters())
    assert all(p.grad is None for p in network.stress_head.parameters())
    terms["non_conservative_stress"].backward()
    assert any(p.grad is not None and p.grad.any() for p in network.stress_head.parameters())

    # A batch of which nobody has the label moves nothing.
    batch, prediction = answer(network, frames[1:], create_graph=True)
    network.zero_grad()
    terms = loss(prediction, batch, weights)
    assert float(terms["total"].detach()) == 0.0
    terms["total"].backward()
    assert all(p.grad is None or not p.grad.any() for p in network.parameters())


def test_turned_labels_are_those_of_the_turned_structure():
    (atoms,) = argon_frames(1)
    turn = random_orthogonal(torch.Generator().manual_seed(4))
    item = turned(prepare(atoms, 5.0), turn)
    rotated = Atoms(atoms.symbols, item.positions.numpy(), cell=item.cell.numpy(), pbc=True)
    rotated.calc = LennardJones(epsilon=0.0104, sigma=3.4, rc=5.0, smooth=True)
    expected = rotated.get_stress(voigt=False)
    assert np.abs(expected).min() > 1e-5
    np.testing.assert_allclose(item.stress.numpy(), expected, rtol=0, atol=LIMIT.stress)
    assert item.volume == pytest.approx(atoms.get_volume())


def test_a_virial_in_extended_xyz_is_minus_the_volume_times_the_stress(tmp_path):
    (atoms,) = argon_frames(1)
    expected = atoms.get_stress()
    virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
    del atoms.calc.results["stress"]
    for name in ("virial", "virials"):
        written = atoms.copy()
        written.calc = atoms.calc
        written.info[name] = virial
        path = tmp_path / f"{name}.xyz"
        ase.io.write(path, written, format="extxyz")
        (found,) = read_structures(path, progress=False)
        np.testing.assert_allclose(found.get_stress(), expected, rtol=0, atol=LIMIT.stress)


def frames_of_several_volumes(n_frames, with_stress=True):
    frames = argon_frames(n_frames)
    for k, atoms in enumerate(frames):
        atoms.set_cell(atoms.cell.array * (1.0 + 0.01 * (k % 5)), scale_atoms=True)
        atoms.calc = LennardJones(epsilon=0.0104, sigma=3.4, rc=5.0, smooth=True)
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        if with_stress:
            labels["stress"] = atoms.get_stress()
        atoms.calc = SinglePointCalculator(atoms, **labels)
    return frames


@pytest.mark.training
def test_a_run_with_stress_reports_it_as_mlip_eval_does(tmp_path, capsys):
    data = tmp_path / "argon.xyz"
    frames = frames_of_several_volumes(12)
    ase.io.write(data, frames, format="extxyz")
    recipe = write_recipe(tmp_path / "recipe.yaml", STRESS_RECIPE)
    assert train([str(recipe), "--data", str(data), "-o", str(tmp_path / "run")]) == 0
    test_errors = json.loads((tmp_path / "run/test.json").read_text())
    model = tmp_path / "model.pt"
    assert export([str(tmp_path / "run/checkpoint.pt"), "-o", str(model)]) == 0
    split = json.loads((tmp_path / "run/split.json").read_text())
    ase.io.write(tmp_path / "test.xyz", [frames[k] for k in split["test"]], format="extxyz")
    capsys.readouterr()
    assert evaluate_file([str(model), str(tmp_path / "test.xyz"), "--json"]) == 0
    errors = json.loads(capsys.readouterr().out)
    assert errors["n_stresses"] == len(split["test"])
    for name in ("stress", "non_conservative_stress"):
        for kind in ("mae", "rmse"):
            assert errors[f"{name}_{kind}"] > 0.0
            assert 1e3 * errors[f"{name}_{kind}"] == pytest.approx(
                test_errors[f"{name}_{kind}"], rel=TOLERANCE["float32"].equality
            )


@pytest.mark.training
def test_a_recipe_with_stress_refuses_data_without(tmp_path, capsys):
    data = tmp_path / "argon.xyz"
    ase.io.write(data, frames_of_several_volumes(12, with_stress=False), format="extxyz")
    recipe = write_recipe(tmp_path / "recipe.yaml", STRESS_RECIPE)
    assert train([str(recipe), "--data", str(data), "-o", str(tmp_path / "run")]) == 1
    assert "stress=" in capsys.readouterr().err
    plain = write_recipe(
        tmp_path / "plain.yaml", STRESS_RECIPE.replace(", non_conservative_stress: true", "")
    )
    ase.io.write(data, frames_of_several_volumes(12), format="extxyz")
    assert train([str(plain), "--data", str(data), "-o", str(tmp_path / "other")]) == 1
    assert "'non_conservative_stress'" in capsys.readouterr().err
