"""``mlip-train`` as a user runs it: from a recipe and a file to a model that ASE evaluates."""

import csv
import json
from pathlib import Path

import ase.io
import pytest
import torch

from mlip_engines import MlipCalculator, read_metadata
from mlip_engines.commands.export import main as export
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.command import main as train
from mlip_train.loop.checkpoint import open_checkpoint, read_checkpoint
from mlip_train.loop.trainer import Trainer
from tests.labelled import RECIPE, argon_frames, write_argon, write_recipe


@pytest.fixture
def run(tmp_path):
    """Return the arguments of a run that has not begun, and its folder."""
    data, recipe = write_argon(tmp_path / "argon.xyz"), write_recipe(tmp_path / "recipe.yaml")
    return [str(recipe), "--data", str(data)], tmp_path


@pytest.fixture
def finished(argon_run):
    """Return the arguments of the same run, and its folder with ``run/``."""
    return [str(argon_run / "recipe.yaml"), "--data", str(argon_run / "argon.xyz")], argon_run


@pytest.mark.training
def test_a_run_leaves_its_record_and_exports_to_a_model_of_the_same_energy(finished):
    _, tmp_path = finished
    rows = list(csv.DictReader((tmp_path / "run/metrics.csv").read_text().splitlines()))
    assert [row["stage"] for row in rows] == ["non_conservative"] * 2 + ["conservative"] * 2
    split = json.loads((tmp_path / "run/split.json").read_text())
    assert sorted(sum(split.values(), [])) == list(range(12))

    checkpoint, model = tmp_path / "run/checkpoint.pt", tmp_path / "model.pt"
    assert export([str(checkpoint), "-o", str(model), "--dtype", "float64"]) == 0
    metadata = read_metadata(model)
    assert metadata.species == ["Ar"] and metadata.training["n_train"] == 8
    test_errors = json.loads((tmp_path / "run/test.json").read_text())
    assert metadata.errors["rms_c_minus_nc"] == pytest.approx(1e-3 * test_errors["c_minus_nc_rmse"])

    assert metadata.card == {"summary": "Argon of a test."}  # of the recipe

    opened = open_checkpoint(checkpoint)
    network, reference, scale = opened.network, opened.reference_energies, opened.scale
    atoms = argon_frames(1, seed=9)[0]
    graph = neighbor_graph(atoms, network.cutoff)
    with torch.no_grad():
        atomic = network.double().eval()(graph, False)["atomic_energies"]
    expected = scale * float(atomic.sum()) + 8 * reference["Ar"]
    atoms.calc = MlipCalculator(model)
    assert atoms.get_potential_energy() == pytest.approx(expected, abs=1e-9)


@pytest.mark.training
def test_an_interrupted_run_resumes_to_the_same_numbers(finished, monkeypatch):
    arguments, tmp_path = finished
    original, count = Trainer._step, []

    def interrupted(self, *step):
        count.append(1)
        if len(count) == 21:  # in the second stage, in the middle of an epoch
            self.save()
            raise KeyboardInterrupt
        return original(self, *step)

    monkeypatch.setattr(Trainer, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train([*arguments, "-o", str(tmp_path / "parts")])
    monkeypatch.undo()
    assert train([*arguments, "-o", str(tmp_path / "parts"), "--resume"]) == 0
    whole = read_checkpoint(tmp_path / "run/checkpoint.pt")["average"]
    parts = read_checkpoint(tmp_path / "parts/checkpoint.pt")["average"]
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name


@pytest.mark.training
def test_a_recipe_that_differs_is_named_and_that_of_the_folder_goes_on(finished, capsys):
    arguments, tmp_path = finished
    (recipe,) = [a for a in arguments if a.endswith(".yaml")]
    run = ["-o", str(tmp_path / "run"), "--resume"]
    assert train([*arguments, *run, "--minutes", "5"]) == 1
    assert "only the minutes of its stages differ" in capsys.readouterr().err
    other = tmp_path / "other.yaml"
    other.write_text(Path(recipe).read_text() + "\nweight_decay: 0.25\n")
    changed = [str(other) if a == recipe else a for a in arguments]
    assert train([*changed, *run]) == 1
    assert (
        "got another: weight_decay; give the recipe that it began with" in capsys.readouterr().err
    )
    kept = [str(tmp_path / "run/recipe.json") if a == recipe else a for a in arguments]
    assert train([*kept, *run]) == 0


@pytest.mark.training
def test_a_run_does_not_resume_with_other_data(finished, capsys):
    arguments, tmp_path = finished
    write_argon(tmp_path / "argon.xyz", 13)
    assert train([*arguments, "-o", str(tmp_path / "run"), "--resume"]) == 1
    assert "data_sha256" in capsys.readouterr().err


@pytest.mark.training
def test_a_stage_that_trains_the_head_alone_leaves_the_energy_as_it_is(finished):
    arguments, tmp_path = finished
    stage = """
  - name: match
    epochs: 2
    learning_rate: 0.01
    weights: {energy: 0.0, match: 1.0}
    trained: [force_layers, force_head]
"""
    write_recipe(tmp_path / "recipe.yaml", RECIPE + stage)
    train([*arguments, "-o", str(tmp_path / "with")])
    before = read_checkpoint(tmp_path / "run/checkpoint.pt")["average"]
    after = read_checkpoint(tmp_path / "with/checkpoint.pt")["average"]
    for name in before:
        if not name.startswith(("force_layers", "force_head")):
            assert torch.equal(before[name], after[name]), name
    assert not torch.equal(
        before["force_head.0.vectors.weight"], after["force_head.0.vectors.weight"]
    )
    errors = [json.loads((tmp_path / d / "test.json").read_text()) for d in ("run", "with")]
    assert errors[1]["c_minus_nc_rmse"] < errors[0]["c_minus_nc_rmse"]
    assert errors[1]["conservative_mae"] == errors[0]["conservative_mae"]


@pytest.mark.training
def test_the_heads_are_matched_on_structures_without_labels_from_another_run(finished, capsys):
    arguments, tmp_path = finished
    first = tmp_path / "run/checkpoint.pt"
    frames = argon_frames(6, seed=5)
    for atoms in frames:
        atoms.calc = None
    unlabelled = tmp_path / "unlabelled.xyz"
    ase.io.write(unlabelled, frames)
    match = (
        RECIPE[: RECIPE.index("  - name: non_conservative")]
        + """
  - name: match
    epochs: 4
    learning_rate: 0.005
    weights: {energy: 0.0, match: 1.0, match_slope: 0.05}
    perturbed_steps: 0.5
    unlabelled_steps: 0.5
    trained: [force_layers, force_head]
"""
    )
    recipe = write_recipe(tmp_path / "match.yaml", match)
    second = [str(recipe), *arguments[1:], "-o", str(tmp_path / "second"), "--from", str(first)]
    assert train(second) == 1
    assert "--unlabelled" in capsys.readouterr().err
    assert train([*second, "--unlabelled", str(unlabelled)]) == 0
    errors = [json.loads((tmp_path / d / "test.json").read_text()) for d in ("run", "second")]
    assert errors[1]["conservative_mae"] == errors[0]["conservative_mae"]
    assert errors[1]["c_minus_nc_rmse"] < errors[0]["c_minus_nc_rmse"]
    record = read_checkpoint(tmp_path / "second/checkpoint.pt")["metadata"]["training"]
    assert record["n_unlabelled"] == 6 and len(record["start_sha256"]) == 64

    other = write_recipe(tmp_path / "other.yaml", match.replace("n_features: 8", "n_features: 4"))
    other = [str(other), *second[1:], "--unlabelled", str(unlabelled)]
    assert train([*other[:4], str(tmp_path / "third"), *other[5:]]) == 1
    assert "n_features" in capsys.readouterr().err


@pytest.mark.training
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("name: painn", "name: unheard_of"), "painn"),
        (("n_features", "n_feature"), "n_feature"),
        (("learning_rate: 0.005", "learning_rate: -1"), "positive"),
        (("match: 0.5", "match: 0.0"), "perturbed"),
        (("perturbed_steps", "perturbed_step"), "perturbed_step"),
        (("n_test: 2", "n_test: 20"), "n_test"),
        (("perturbed_steps: 0.3", "trained: [head]"), "'energy_head'"),
        (("non_conservative_layer: 1", "non_conservative_layer: 0"), "'non_conservative_forces'"),
        (("perturbed_steps: 0.3", "unlabelled_steps: 0.3"), "--unlabelled"),
    ],
)
def test_a_wrong_recipe_is_refused_with_the_setting_named(run, capsys, change, message):
    arguments, tmp_path = run
    write_recipe(tmp_path / "recipe.yaml", RECIPE.replace(*change))
    assert train([*arguments, "-o", str(tmp_path / "run")]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run/checkpoint.pt").exists()  # refused before anything is trained


@pytest.mark.training
def test_a_label_that_is_no_number_is_named_with_its_frame(run, capsys):
    arguments, tmp_path = run
    path = tmp_path / "argon.xyz"
    lines = path.read_text().splitlines()
    values = lines[10 * 5 + 3].split()
    values[-1] = "nan"
    lines[10 * 5 + 3] = " ".join(values)
    path.write_text("\n".join(lines))
    assert train([*arguments, "-o", str(tmp_path / "run")]) == 1
    message = capsys.readouterr().err
    assert "structure 5" in message and "forces" in message


@pytest.mark.training
def test_a_folder_with_a_run_is_not_overwritten(finished, capsys):
    arguments, tmp_path = finished
    assert train([*arguments, "-o", str(tmp_path / "run")]) == 1
    assert "--resume" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["-o", "--from", "--unlabelled"])
def test_an_option_that_takes_one_value_is_refused_when_given_twice(option, capsys):
    with pytest.raises(SystemExit) as stopped:
        train(["water", "--data", "a.xyz", "-o", "run", option, "b", option, "c"])
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert f"argument {'-o/--output' if option == '-o' else option}: expected it once" in message
    assert "give one of them" in message
