"""Training on other geometries than the true ones, and the loss of displacements (eq. 9 of the paper in the module)."""

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation

from mlip_train.data.structure import prepare
from mlip_train.property.checkpoint import open_property, read_property, save_property
from mlip_train.property.command import main
from mlip_train.property.conformers import Conformers, alignment_loss, displacements, drawn
from mlip_train.property.prediction import batch_of
from mlip_train.property.run import PropertyRun
from tolerances import EXACT

RECIPE = """
name: tiny
network: {name: painn, cutoff: 3.0, n_features: 16, n_basis: 6, n_layers: 1, non_conservative_layer: 1,
  n_force_layers: 0}
stages:
  - {name: energy, epochs: 1, learning_rate: 0.001, weights: {energy: 1.0}}
"""


def test_the_loss_of_directions_in_closed_form():
    target = torch.tensor([[1.0, 0, 0], [0, 2.0, 0], [0, 0, 3.0], [0.0, 0, 0]]).double()
    predicted = torch.tensor([[5.0, 0, 0], [0, -1.0, 0], [1.0, 0, 0], [9.0, 9.0, 9.0]]).double()
    # along, against, across; the last atom has no direction to go
    assert float(alignment_loss(predicted, target)) == pytest.approx((0 + 2 + 1) / 3, rel=EXACT)
    predicted.requires_grad_(True)
    alignment_loss(0.0 * predicted, target).backward()  # a network of zeros has a finite gradient
    assert predicted.grad.isfinite().all()
    none = alignment_loss(predicted, torch.zeros_like(target))
    assert none.item() == 0.0 and none.requires_grad


def test_a_displacement_does_not_see_how_a_molecule_lies():
    rng = np.random.default_rng(1)
    true = molecule("CH3CH2OH")
    moved = true.copy()
    moved.positions += rng.normal(scale=0.05, size=(len(true), 3))
    found = displacements(moved, true).numpy()
    turn = Rotation.random(random_state=2)
    elsewhere = moved.copy()
    elsewhere.positions = turn.apply(moved.positions) + 7.0
    np.testing.assert_allclose(displacements(elsewhere, true), turn.apply(found), atol=EXACT)
    # no way of laying the two over each other is shorter
    for _ in range(20):
        other = Rotation.from_rotvec(rng.normal(scale=0.05, size=3))
        goal = other.apply(true.positions - true.positions.mean(axis=0))
        away = goal - moved.positions + moved.positions.mean(axis=0)
        assert np.sum(found**2) <= np.sum(away**2) + EXACT
    np.testing.assert_allclose(displacements(elsewhere, moved), 0.0, atol=1e-7)
    assert displacements(Atoms("H"), Atoms("H", [[3.0, 0, 0]])).abs().max() == 0.0


def test_half_of_what_is_drawn_are_conformers():
    true, one, other = (molecule("H2O") for _ in range(3))
    one.positions *= 1.1
    other.positions *= 1.2
    generator = torch.Generator().manual_seed(1)
    got = [drawn(true, [one, other], 0.05, generator) for _ in range(400)]
    of_one, of_other = sum(a is one for a in got), sum(a is other for a in got)
    assert abs(of_one - 100) < 30 and abs(of_other - 100) < 30  # 3.5 standard deviations
    noise = [a.positions - true.positions for a in got if a is not one and a is not other]
    assert np.std(noise) == pytest.approx(0.05, rel=0.1)
    same = drawn(true, [], 0.0, generator)
    np.testing.assert_array_equal(same.positions, true.positions)


def test_conformers_that_do_not_fit_are_refused():
    true = molecule("H2O")
    with pytest.raises(ValueError, match="expected the key 'molecule'"):
        Conformers([true], [true], "molecule")
    true.info["molecule"] = "w"
    twice = molecule("H2O")
    twice.info["molecule"] = "w"
    with pytest.raises(ValueError, match="each molecule once"):
        Conformers([true, twice], [], "molecule")
    with pytest.raises(ValueError, match="in this order"):
        Conformers([true], [true[[1, 0, 2]]], "molecule")
    with pytest.raises(ValueError, match="expected conformers with the molecule"):
        Conformers([true], [molecule("H2O")], "molecule")
    periodic = Atoms("H", cell=[3, 3, 3], pbc=True, info={"molecule": "h"})
    with pytest.raises(ValueError, match="periodic"):
        Conformers([periodic], [], "molecule")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """True waters whose target is their O-H length, and conformers of which one of the two bonds is too long."""
    path = tmp_path_factory.mktemp("conformers")
    rng = np.random.default_rng(0)
    true, conformers = [], []
    for k in range(150):
        atoms = molecule("H2O")
        atoms.positions *= rng.uniform(0.9, 1.1)
        atoms.info.update(molecule=f"w{k}", length=atoms.get_distance(0, 1))
        true.append(atoms)
        for factor in (1.3, 1.12):  # of a relaxation: the last is nearer
            frame = atoms.copy()
            frame.info = {"molecule": f"w{k}"}
            bond = atoms.positions[1] - atoms.positions[0]
            frame.positions[1] = atoms.positions[0] + bond * (factor + rng.normal(scale=0.005))
            conformers.append(frame)
    ase.io.write(path / "true.extxyz", true)
    ase.io.write(path / "conformers.extxyz", conformers)
    (path / "tiny.yaml").write_text(RECIPE)
    return path


def run(folder, output, *more, source=None):
    arguments = ["--data", str(folder / "true.extxyz"), "--target", "length", "--pooling", "mean"]
    source = ["--recipe", str(folder / "tiny.yaml")] if source is None else ["--from", source]
    arguments += [*source, "-o", str(folder / output), "--n-validation", "25", "--n-test", "25"]
    # few epochs at a constant rate
    arguments += ["--learning-rate", "0.005", "--batch-size", "20", "--schedule", "plateau"]
    return main([*arguments, *map(str, more)])


@pytest.fixture(scope="module")
def base(folder):
    assert run(folder, "base", "--epochs", 12) == 0
    return str(folder / "base" / "checkpoint.pt")


def last_mae(folder, output):
    return read_property(folder / output / "checkpoint.pt")["history"][-1]["validation_mae_length"]


@pytest.mark.slow
@pytest.mark.training
def test_fine_tuning_on_conformers_helps_where_only_they_are_known(folder, base):
    """A network of true geometries takes the bond that is too long for a true one; the other one tells the truth."""
    others = ["--conformers", folder / "conformers.extxyz"]
    assert (
        run(folder, "before", "--epochs", 1, "--learning-rate", "1e-12", *others, source=base) == 0
    )
    assert run(folder, "after", "--epochs", 12, "--noise", "0.02", *others, source=base) == 0
    assert last_mae(folder, "before") > 0.03
    assert last_mae(folder, "after") < 0.5 * last_mae(folder, "before")


@pytest.mark.training
def test_displacements_are_learned(folder, base):
    """The weight of the loss decides: with it the head points at the true geometry, in directions it was not told."""
    others = ["--conformers", folder / "conformers.extxyz", "--noise", "0.02", "--epochs", "6"]
    losses = {}
    for weight in ("0", "1"):
        assert run(folder, f"align{weight}", *others, "--align", weight, source=base) == 0
        network, _ = open_property(folder / f"align{weight}" / "checkpoint.pt")
        true = ase.io.read(folder / "true.extxyz", ":20")
        moved = [a.copy() for a in true]
        for k, atoms in enumerate(moved):
            atoms.positions[1] += 0.2 * (atoms.positions[1] - atoms.positions[0])
            atoms.rotate(37.0 * k, (1, 2, 3))
        batch = batch_of([prepare(a, network.cutoff) for a in moved], network)
        with torch.no_grad():
            _, vectors = network.with_displacements(batch)
        target = torch.cat([displacements(a, b) for a, b in zip(moved, true, strict=True)])
        losses[weight] = float(alignment_loss(vectors.double(), target))
    assert losses["1"] < 0.2 < losses["0"]


@pytest.mark.training
def test_a_run_on_conformers_goes_on_to_the_same_numbers(folder, base):
    others = ["--conformers", folder / "conformers.extxyz"]
    assert run(folder, "whole", *others, "--epochs", 2, source=base) == 0
    again = read_property(folder / "whole" / "checkpoint.pt")
    assert run(folder, "again", *others, "--epochs", 2, source=base) == 0
    other = read_property(folder / "again" / "checkpoint.pt")
    assert all(torch.equal(v, other["weights"][k]) for k, v in again["weights"].items())
    assert again["settings"]["noise"] == again["settings"]["align"] == 0.1  # of the paper


@pytest.mark.training
def test_a_run_goes_on_with_its_own_potential_and_conformers_only(
    folder, base, monkeypatch, capsys
):
    state = {name: value for name, value in read_property(base).items() if name != "kind"}
    for name in "ab":
        save_property(folder / f"{name}.pt", {**state, "potential": {"name": name}})
    others = ["--conformers", folder / "conformers.extxyz", "--epochs", 2]
    with monkeypatch.context() as patch:
        patch.setattr(PropertyRun, "_run_epoch", interrupted_after(1, PropertyRun._run_epoch))
        with pytest.raises(KeyboardInterrupt):
            run(folder, "stopped", *others, source=str(folder / "a.pt"))
    frames = ase.io.read(folder / "conformers.extxyz", ":")
    ase.io.write(folder / "fewer.extxyz", frames[:-1])
    fewer = ["--conformers", folder / "fewer.extxyz", "--epochs", 2, "--resume"]
    assert run(folder, "stopped", *fewer, source=str(folder / "a.pt")) == 1
    assert "expected the conformers of the run to resume" in capsys.readouterr().err
    assert run(folder, "stopped", *others, "--resume", source=str(folder / "b.pt")) == 0
    assert read_property(folder / "stopped" / "checkpoint.pt")["potential"] == {"name": "a"}


def interrupted_after(n, method):
    calls = []

    def interrupted(self):
        calls.append(0)
        if len(calls) > n:
            raise KeyboardInterrupt
        return method(self)

    return interrupted


def test_conformers_have_the_charge_of_their_molecule():
    """A network that depends on it would take a batch in which one lacks it for neutral."""
    true, frame, own = (molecule("H2O") for _ in range(3))
    true.info.update(molecule="w", charge=1.0)
    frame.info.update(molecule="w")
    own.info.update(molecule="w", charge=2.0)
    found = Conformers([true], [frame, own], "molecule").by_structure[0]
    assert [atoms.info["charge"] for atoms in found] == [1.0, 2.0]
    assert "charge" not in frame.info


@pytest.mark.training
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--align", "0.1"], "expected --noise or --conformers with --align"),
        (["--noise", "-1"], "noise must be finite and not negative"),
        (["--align", "0.1", "--noise", "0.1", "--trained", "head"], "give --align 0"),
        (["--pooling", "sum"], "expected the pooling sum"),
        (["--scratch"], "--scratch goes with a potential"),
    ],
)
def test_what_cannot_be_is_refused(folder, base, capsys, more, message):
    assert run(folder, "refused", *more, source=base) == 1
    assert message in capsys.readouterr().err
