"""Denoising: what is asked of the head, that a network learns it, and forces that are given to it."""

import dataclasses

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation

from mlip_engines import check_conformance
from mlip_engines.checkpoints import export_checkpoint
from mlip_train.command import main as train
from mlip_train.data.batching import collate
from mlip_train.data.structure import prepare
from mlip_train.loop.checkpoint import read_checkpoint
from mlip_train.loop.denoising import denoising_loss, given_forces, moved, noisy
from mlip_train.loop.stage import check_stage
from mlip_train.loop.start import is_same_recipe
from mlip_train.networks.painn import PaiNN
from mlip_train.recipe import recipe_of
from structures import slab, triclinic
from tests.labelled import write_argon, write_recipe
from tolerances import TOLERANCE

BASELINE = torch.zeros(119, dtype=torch.float64)
CUTOFF = 4.0
EQUALITY = TOLERANCE["float64"].equality


def batch_of(structures):
    return collate(structures, BASELINE, CUTOFF, torch.float64)


def painn(**more):
    torch.manual_seed(2)
    sizes = {"n_features": 8, "n_basis": 5, "n_layers": 2, "non_conservative_layer": 1}
    return PaiNN([1, 6, 8], CUTOFF, **sizes, **more).double().train()


@pytest.mark.parametrize("build", [triclinic, slab, lambda: molecule("CH3OH")])
def test_a_moved_structure_has_the_edges_of_a_new_one(build):
    """Against a list from scratch: also where noise is far longer than the skin of neighbour lists."""
    atoms = build()
    displacement = np.random.default_rng(1).normal(scale=0.4, size=(len(atoms), 3))
    found = batch_of([moved(prepare(atoms, CUTOFF), torch.from_numpy(displacement), CUTOFF)]).graph
    atoms.positions += displacement
    expected = batch_of([prepare(atoms, CUTOFF)]).graph
    lengths = [g.edge_vectors.norm(dim=1).sort().values for g in (found, expected)]
    torch.testing.assert_close(*lengths, rtol=0, atol=1e-9)


def test_the_target_is_the_way_back():
    structures = [prepare(molecule(name), CUTOFF) for name in ("CH3OH", "H2O")]
    generator = torch.Generator().manual_seed(3)
    found, target = noisy(structures, 0.2, CUTOFF, generator)
    way = torch.cat([s.positions - f.positions for s, f in zip(structures, found, strict=True)])
    start = 0
    for s in structures:  # in units of the noise, without what moves the structure as a whole
        part = way[start : start + len(s.positions)] / 0.2
        expected = part - part.mean(dim=0)
        torch.testing.assert_close(target[start : start + len(part)], expected, rtol=0, atol=1e-9)
        start += len(part)
    assert all(not f.is_labelled for f in found)


def test_without_noise_nothing_moves_and_a_silent_head_has_the_loss_of_the_noise():
    """The limit of no noise: the structures are the true ones, and nobody could tell the way back."""
    structures = [prepare(molecule("CH3OH"), CUTOFF)] * 200
    found, target = noisy(structures, 1e-12, CUTOFF, torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        found[0].positions, structures[0].positions, rtol=0, atol=TOLERANCE["float64"].position
    )
    network = painn()
    for parameter in network.force_head.parameters():
        torch.nn.init.zeros_(parameter)
    value = float(denoising_loss(network, batch_of(found), target).detach())
    # of 6 atoms without their mean: 5/6 of the variance of the noise, which is 1
    assert value == pytest.approx(5 / 6, rel=0.05)


def with_forces(atoms, forces):
    return dataclasses.replace(prepare(atoms, CUTOFF), forces=torch.from_numpy(forces).float())


def test_given_forces_turn_with_the_structure():
    network = painn(force_encoding=True)
    rng = np.random.default_rng(4)
    atoms = molecule("CH3OH")
    forces = rng.normal(size=(len(atoms), 3)).astype(np.float32).astype(float)
    turn = Rotation.random(random_state=5)
    turned = Atoms(atoms.numbers, turn.apply(atoms.positions))

    def answer(a, f):
        network.encoded_forces = f
        with torch.no_grad():
            output = network(batch_of([prepare(a, CUTOFF)]).graph, True)
        network.encoded_forces = None
        return output["atomic_energies"], output["non_conservative_forces"]

    matrix = torch.from_numpy(turn.as_matrix())
    energies, vectors = answer(atoms, torch.from_numpy(forces))
    again = answer(turned, torch.from_numpy(turn.apply(forces)))
    torch.testing.assert_close(again[0], energies, rtol=EQUALITY, atol=EQUALITY)
    torch.testing.assert_close(again[1], vectors @ matrix.T, rtol=1e-8, atol=1e-8)
    none = answer(atoms, None)
    zero = answer(atoms, torch.zeros(6, 3).double())
    for one, other in zip(
        none, zero, strict=True
    ):  # no forces given and forces of zero are the same
        torch.testing.assert_close(one, other, rtol=EQUALITY, atol=EQUALITY)
    assert (none[0] - energies).abs().max() > 1e-3  # and others are seen


@pytest.mark.parametrize("size", [1.0, 10.0, 1000.0])
def test_long_forces_do_not_grow_from_layer_to_layer(size):
    """Forces ten times the usual are common away from equilibrium: a new network still says nearly nothing."""
    torch.manual_seed(5)
    network = PaiNN([1, 6, 8], CUTOFF, n_layers=3, non_conservative_layer=2, force_encoding=True)
    structures = [prepare(molecule(name), CUTOFF) for name in ("CH3OH", "H2O", "CH3CHO")]
    found, target = noisy(structures, 0.05, CUTOFF, torch.Generator().manual_seed(3))
    batch = collate(found, BASELINE, CUTOFF, torch.float32)
    forces = size * torch.randn(target.shape, generator=torch.Generator().manual_seed(4))
    loss = denoising_loss(network, batch, target, forces)
    assert 0.3 < float(loss.detach()) < 2.0  # of a head that says nothing it is about one
    loss.backward()
    gradient = torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
    assert float(gradient.norm()) < 10.0


def test_forces_are_in_the_unit_of_the_network_and_zero_where_unknown():
    known = with_forces(molecule("H2O"), np.full((3, 3), 3.0))
    found = given_forces([known, prepare(molecule("H2O"), CUTOFF)], 1.5)
    np.testing.assert_allclose(found, np.repeat([[2.0], [0.0]], 3, axis=0).repeat(3, axis=1))


def springs(n, seed):
    """Pairs of atoms at any distance from 0.9 to 1.5 Å, with the force of a spring of 1.2 Å."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        length = rng.uniform(0.9, 1.5)
        force = 2.0 * (length - 1.2) * direction
        found.append(
            with_forces(Atoms("OH", [np.zeros(3), length * direction]), np.array([force, -force]))
        )
    return found


@pytest.mark.slow
def test_forces_tell_the_way_back_where_the_structure_alone_does_not():
    """Away from equilibrium a moved pair may have come from any length: with its force it came from one."""
    seen, unseen = springs(200, seed=2), springs(100, seed=4)
    noised = [
        noisy(structures, 0.1, CUTOFF, torch.Generator().manual_seed(k))
        for k, structures in enumerate((seen, unseen))
    ]
    batches = [batch_of(found) for found, _ in noised]
    errors = {}
    for is_given in (False, True):
        network = painn(force_encoding=True)
        optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)

        def error_of(structures, k, network=network, is_given=is_given):
            forces = given_forces(structures, 1.0) if is_given else None
            return denoising_loss(network, batches[k], noised[k][1], forces)

        for _ in range(60):
            optimizer.zero_grad()
            error_of(seen, 0).backward()
            optimizer.step()
        with torch.no_grad():
            errors[is_given] = float(error_of(unseen, 1))
    # across the bond, where two of three components are, nobody can tell: 1/2 of the variance each
    assert errors[True] < errors[False] - 0.05


STAGE = {"name": "d", "epochs": 1, "learning_rate": 0.1}


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"noise_steps": 0.5}, "need each other"),
        ({"weights": {"denoising": 1.0}}, "need each other"),
        ({"noise_steps": 1.5, "weights": {"denoising": 1.0}}, "from 0 to 1"),
        ({"noise_steps": 1.0, "noise": 0.0, "weights": {"denoising": 1.0}}, "no way back"),
        ({"encode_forces": True}, "expected noise_steps as well"),
        ({"weights": {"functions": {"denoising": "mae"}}}, "denoising is a mean square"),
    ],
)
def test_recipes_that_cannot_be_meant(stage, message):
    with pytest.raises(ValueError, match=message):
        recipe_of({"name": "r", "stages": [{**STAGE, **stage}]}, "r.yaml")


def test_a_run_of_before_is_of_the_same_recipe():
    recipe = recipe_of({"name": "r", "network": {"name": "painn"}, "stages": [STAGE]}, "r.yaml")
    before = recipe.as_dict()
    for name in ("noise", "noise_steps", "encode_forces"):
        before["stages"][0].pop(name)
    before["stages"][0]["weights"].pop("denoising")
    assert is_same_recipe(before, recipe)
    before["stages"][0]["learning_rate"] = 0.2
    assert not is_same_recipe(before, recipe)


DENOISING = """
name: argon
network: {name: painn, cutoff: 5.0, n_features: 8, n_basis: 6, n_layers: 2, non_conservative_layer: 1,
  force_encoding: true}
n_validation: 2
n_test: 2
stages:
  - {name: denoising, epochs: 30, learning_rate: 0.01, noise: 0.3, noise_steps: 1.0,
     weights: {energy: 0.0, denoising: 1.0}}
  - {name: both, epochs: 2, learning_rate: 0.005, noise_steps: 0.5, encode_forces: true,
     weights: {energy: 1.0, non_conservative: 1.0, denoising: 0.5}}
"""


@pytest.mark.training
def test_a_run_denoises_and_then_learns_labels_beside_it(tmp_path):
    """From the recipe to a file for engines, which know of no forces that are given."""
    data = write_argon(tmp_path / "argon.xyz")
    recipe = write_recipe(tmp_path / "recipe.yaml", DENOISING)
    arguments = [str(recipe), "--data", str(data), "--device", "cpu", "-o", str(tmp_path / "run")]
    assert train(arguments) == 0
    rows = read_checkpoint(tmp_path / "run/checkpoint.pt")["history"]
    losses = [float(row["loss"]) for row in rows if row["stage"] == "denoising"]
    # at random, a silent head has 7/8; neighbours of an atom tell where it came from
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:3])
    path = tmp_path / "argon.pt"
    export_checkpoint(tmp_path / "run/checkpoint.pt", path, "float64")
    check_conformance(path)


@pytest.mark.training
@pytest.mark.parametrize(
    "stage",
    [
        "noise: 0.3, noise_steps: 1.0, weights: {energy: 0.0, denoising: 1.0}, trained: [energy_head]",
        "weights: {energy: 1.0}, trained: [force_head]",
    ],
)
def test_a_loss_that_no_trained_part_changes_is_refused(stage, tmp_path, capsys):
    data = write_argon(tmp_path / "argon.xyz")
    text = (
        DENOISING.split("stages:")[0]
        + f"stages:\n  - {{name: lame, epochs: 1, learning_rate: 0.01, {stage}}}\n"
    )
    recipe = write_recipe(tmp_path / "recipe.yaml", text)
    arguments = [str(recipe), "--data", str(data), "--device", "cpu", "-o", str(tmp_path / "run")]
    assert train(arguments) != 0
    said = capsys.readouterr().err
    assert "stage lame: trained:" in said and "no influence" in said and "Traceback" not in said


def test_encoded_forces_need_a_network_that_takes_them():
    recipe = recipe_of(
        {
            "name": "r",
            "stages": [
                {
                    **STAGE,
                    "noise_steps": 1.0,
                    "encode_forces": True,
                    "weights": {"denoising": 1.0},
                }
            ],
        },
        "r.yaml",
    )
    check_stage(recipe.stages[0], painn(force_encoding=True))
    with pytest.raises(ValueError, match="painn with force_encoding: true"):
        check_stage(recipe.stages[0], painn())
