"""The learning rate on a plateau against torch's ReduceLROnPlateau, and in a run that is interrupted."""

import csv
import math

import pytest
import torch

from mlip_train.command import main as train
from mlip_train.loop.plateau import Plateau, weighted_error
from mlip_train.loop.progress import Progress
from mlip_train.loop.schedule import learning_rate
from mlip_train.loop.trainer import Trainer
from mlip_train.loss_weights import LossWeights
from mlip_train.recipe import Recipe, Stage
from tests.labelled import RECIPE, write_argon, write_recipe
from tolerances import EXACT

STAGE = Stage("a", 10, 0.02, LossWeights())


def test_the_rate_falls_where_that_of_torch_falls():
    """Errors that fall, stay, rise by chance, fall by less than counts, and stop being numbers."""
    generator = torch.Generator().manual_seed(4)
    noise = torch.rand(60, generator=generator).tolist()
    errors = [3.0 * math.exp(-0.2 * k) + 0.5 + 0.1 * x for k, x in enumerate(noise)]
    errors += [errors[-1] * (1.0 - 1e-6) ** k for k in range(8)] + [math.nan] * 4 + [0.1, 0.1]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=STAGE.learning_rate)
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.4, patience=2)
    recipe = Recipe("test", [STAGE], schedule="plateau", warm_up=0.0, final_learning_rate=0.0)
    plateau, rates = Plateau(), []
    for error in errors:
        oracle.step(error)
        plateau.judge(error, patience=2, reduction=0.4)
        rates.append(learning_rate(recipe, STAGE, 0.5, plateau.reduction))
        assert rates[-1] == pytest.approx(optimizer.param_groups[0]["lr"], rel=EXACT)
    assert len(set(rates)) > 5


def test_the_rate_does_not_fall_below_the_final_one():
    recipe = Recipe("test", [STAGE], schedule="plateau", final_learning_rate=0.01)
    assert learning_rate(recipe, STAGE, 0.5, 1e-6) == pytest.approx(0.0002, abs=EXACT)


def test_errors_count_by_the_weights_of_what_is_learned():
    errors = {"energy_mae": 3.0, "conservative_mae": 50.0, "non_conservative_mae": 70.0}
    weights = LossWeights(energy=2.0, conservative=0.5)
    assert weighted_error(errors, weights) == pytest.approx(31.0, abs=EXACT)
    with pytest.raises(ValueError, match="labels of what is learned"):
        weighted_error({"energy_mae": 3.0}, LossWeights(energy=0.0, stress=1.0))


def test_a_checkpoint_without_a_plateau_begins_with_none():
    state = vars(Progress(epoch=3)).copy()
    state.pop("plateau")
    assert Progress.of(state) == Progress(epoch=3)


@pytest.mark.training
def test_a_run_that_is_resumed_has_the_rates_of_one_that_was_not(tmp_path, monkeypatch):
    """A rate that is too large and no patience: it falls during the run, before and after the interruption."""
    stage = RECIPE[: RECIPE.index("  - name: conservative")].replace("0.005", "0.2")
    stage = stage.replace("epochs: 2", "epochs: 10")
    text = "schedule: plateau\npatience: 0\nwarm_up: 0.0\naverage_decay: 0.0\nbatch_size: 4\n"
    recipe = write_recipe(tmp_path / "recipe.yaml", text + stage)
    data = write_argon(tmp_path / "argon.xyz")

    def run(folder, *more):
        assert train([str(recipe), "--data", str(data), "-o", str(tmp_path / folder), *more]) == 0
        rows = csv.DictReader((tmp_path / folder / "metrics.csv").read_text().splitlines())
        return [float(row["learning_rate"]) for row in rows]

    whole = run("whole")
    save, n_saved = Trainer.save, 0

    def interrupted(trainer):
        nonlocal n_saved
        save(trainer)
        n_saved += 1
        if n_saved == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("parts")
    monkeypatch.undo()
    assert run("parts", "--resume") == whole
    assert whole[0] == 0.2 and whole[4] < 0.2 and whole[-1] < whole[5]


def test_a_run_without_validation_is_refused(tmp_path, capsys):
    text = RECIPE.replace("n_validation: 2", "n_validation: 0") + "schedule: plateau\n"
    recipe = write_recipe(tmp_path / "recipe.yaml", text)
    data = write_argon(tmp_path / "argon.xyz")
    assert train([str(recipe), "--data", str(data), "-o", str(tmp_path / "run")]) == 1
    assert "validation" in capsys.readouterr().err


def test_a_stage_whose_terms_no_validation_measures_is_refused(tmp_path, capsys):
    text = RECIPE + "schedule: plateau\n"
    assert "weights: {" in text
    start = text.index("weights: {")
    end = text.index("}", start) + 1
    text = text[:start] + "weights: {energy: 0.0, match_slope: 1.0}" + text[end:]
    recipe = write_recipe(tmp_path / "recipe.yaml", text)
    assert train([str(recipe), "--data", "none.xyz", "-o", str(tmp_path / "run")]) == 1
    assert "schedule: plateau needs a term that the validation measures" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["force_scale: 1e-3", "reduction: x", "patience: true"])
def test_what_yaml_takes_for_text_is_named(tmp_path, capsys, line):
    recipe = write_recipe(tmp_path / "recipe.yaml", RECIPE + line + "\n")
    assert train([str(recipe), "--data", "none.xyz", "-o", str(tmp_path / "run")]) == 1
    assert "must be a number, got" in capsys.readouterr().err
