"""``mlip-property`` and ``mlip-predict`` as a user runs them, on properties that are known in closed form."""

import csv
import json

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from mlip_engines.model.load import find_model
from mlip_train.loop.start import read_start
from mlip_train.property.command import main
from mlip_train.property.predict_command import main as predict
from mlip_train.property.run import PropertyRun

RECIPE = """
name: tiny
network:
  {name: painn, cutoff: 3.0, n_features: 16, n_basis: 6, n_layers: 1, non_conservative_layer: 0, n_force_layers: 0}
stages:
  - {name: energy, epochs: 1, learning_rate: 0.001, weights: {energy: 1.0}}
"""


def waters(n, seed=0):
    """Water molecules of different size; the target is the mean of the two O-H lengths."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(n):
        atoms = molecule("H2O")
        atoms.positions *= rng.uniform(0.8, 1.3)
        atoms.positions += rng.normal(scale=0.02, size=(3, 3))
        atoms.info["length"] = 0.5 * (atoms.get_distance(0, 1) + atoms.get_distance(0, 2))
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("property")
    frames = waters(140)
    frames[3].info.pop("length")
    frames[7].info["length"] = float("nan")
    frames.append(Atoms("Au", info={"length": 1.0}))
    ase.io.write(path / "water.extxyz", frames)
    (path / "tiny.yaml").write_text(RECIPE)
    return path


def run(folder, output, *more):
    return main(
        ["--data", str(folder / "water.extxyz"), "--target", "length", "-o", str(folder / output)]
        + [
            "--n-validation",
            "20",
            "--n-test",
            "30",
            "--learning-rate",
            "0.01",
            "--batch-size",
            "16",
        ]
        + list(more)
    )


@pytest.fixture(scope="module")
def trained(folder):
    recipe = ["--recipe", str(folder / "tiny.yaml")]
    assert run(folder, "run", *recipe, "--epochs", "40") == 0
    return folder / "run"


@pytest.mark.training
def test_a_length_is_learned(trained):
    errors = json.loads((trained / "test.json").read_text())["test"]["length"]
    lengths = [a.info["length"] for a in waters(140)]
    assert errors["n"] >= 28
    # guessing the mean is wrong by 0.12 Å
    assert errors["mae"] < 0.15 * np.abs(lengths - np.mean(lengths)).mean()


@pytest.mark.training
def test_predictions_are_those_of_the_test_and_bad_structures_have_a_reason(trained, folder):
    unseen = waters(25, seed=5)
    ase.io.write(folder / "new.extxyz", [*unseen, Atoms("Pt")])
    table = folder / "table.csv"
    arguments = [str(trained / "checkpoint.pt"), str(folder / "new.extxyz"), "-o", str(table)]
    assert predict(arguments) == 0
    rows = list(csv.DictReader(table.read_text().splitlines()))
    found = np.array([float(row["length"]) for row in rows[:-1]])
    assert np.abs(found - [a.info["length"] for a in unseen]).mean() < 0.03
    assert rows[-1]["length"] == "" and "does not know Pt" in rows[-1]["reason"]


@pytest.mark.training
@pytest.mark.parametrize("trained_part", ["all", "head"])
def test_a_run_begins_with_the_weights_of_a_potential(trained_part, folder, capsys):
    model = find_model("water")
    output = folder / f"from_{trained_part}"
    assert (
        run(folder, output.name, "--from", str(model), "--epochs", "1", "--trained", trained_part)
        == 0
    )
    assert "structure 140 is left out: the network does not know Au" in capsys.readouterr().err
    before = read_start(model).weights
    after = torch.load(output / "checkpoint.pt", weights_only=True)["weights"]
    name = "shared.0.message.phi.0.weight"
    same = torch.equal(before[name], after[f"features.network.{name}"])
    assert same == (trained_part == "head")


@pytest.mark.training
def test_a_run_that_was_killed_goes_on_to_the_same_numbers(folder, monkeypatch, capsys):
    recipe = ["--recipe", str(folder / "tiny.yaml")]
    assert run(folder, "whole", *recipe, "--epochs", "4") == 0
    epoch = PropertyRun._run_epoch

    def killed(self):
        if self.epoch == 2:
            raise KeyboardInterrupt
        return epoch(self)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(PropertyRun, "_run_epoch", killed)
        run(folder, "parts", *recipe, "--epochs", "4")
    checkpoint = folder / "parts" / "checkpoint.pt"
    assert torch.load(checkpoint, weights_only=True)["epoch"] == 2
    assert run(folder, "parts", *recipe, "--epochs", "4") == 1  # the folder holds a run
    capsys.readouterr()
    others = ["--epochs", "5", "--schedule", "plateau"]
    assert run(folder, "parts", *recipe, *others, "--resume") == 1
    message = capsys.readouterr().err
    assert "epochs 4 (got 5), schedule 'cosine' (got 'plateau')" in message
    assert run(folder, "parts", *recipe, "--epochs", "4", "--resume") == 0
    whole, parts = (
        torch.load(folder / name / "checkpoint.pt", weights_only=True)
        for name in ("whole", "parts")
    )
    assert [row["loss"] for row in parts["history"]] == [row["loss"] for row in whole["history"]]
    for name, value in whole["weights"].items():
        assert torch.equal(value, parts["weights"][name]), name


@pytest.mark.training
def test_by_default_a_cosine_ends_at_a_hundredth_of_the_rate(folder):
    recipe = ["--recipe", str(folder / "tiny.yaml"), "--n-train", "16"]
    assert run(folder, "cosine", *recipe, "--epochs", "5") == 0
    with (folder / "cosine" / "metrics.csv").open() as file:
        rates = [float(row["learning_rate"]) for row in csv.DictReader(file)]
    # half a period of a cosine in four steps
    expected = [0.0001 + 0.0099 * (0.5 + 0.5 * c) for c in (1.0, 0.5**0.5, 0.0, -(0.5**0.5), -1.0)]
    np.testing.assert_allclose(rates, expected, rtol=1e-9)


@pytest.mark.training
def test_a_plateau_halves_the_rate_after_patience(folder):
    # steps so small that the validation gets no better after the first epoch
    options = ["--schedule", "plateau", "--patience", "1", "--learning-rate", "1e-7"]
    recipe = ["--recipe", str(folder / "tiny.yaml"), "--n-train", "16"]
    assert run(folder, "plateau", *recipe, "--epochs", "5", *options) == 0
    with (folder / "plateau" / "metrics.csv").open() as file:
        rates = [float(row["learning_rate"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(rates, [1e-7, 1e-7, 5e-8, 5e-8, 2.5e-8], rtol=1e-9)


@pytest.mark.training
def test_a_run_from_before_there_were_schedules_goes_on_with_plateaus(folder):
    recipe = ["--recipe", str(folder / "tiny.yaml"), "--n-train", "16"]
    options = ["--epochs", "2", "--schedule", "plateau"]
    assert run(folder, "old", *recipe, *options) == 0
    checkpoint = folder / "old" / "checkpoint.pt"
    state = torch.load(checkpoint, weights_only=True)
    del state["settings"]["schedule"]
    torch.save(state, checkpoint)
    assert run(folder, "old", *recipe, *options, "--resume") == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--epochs", "1"], "expected one of --from"),
        (["--recipe", "water", "--trained", "head"], "a head alone needs a trained network"),
        (["--recipe", "water", "--epochs", "0"], "epochs must be positive"),
        (["--recipe", "water", "--target", "gap"], "expected the target 'gap'"),
        (["--recipe", "water", "--n-train", "5000"], "expected 5000 structures to train on"),
        (["--recipe", "water", "--split-key", "part"], "expected structures with the key 'part'"),
    ],
)
def test_what_cannot_be_is_refused_with_a_message(more, message, folder, capsys):
    assert run(folder, "refused", *more) == 1
    assert message in capsys.readouterr().err
