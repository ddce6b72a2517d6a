"""A time for a run is divided among its stages, and among the runs of a chain."""

from dataclasses import replace

import pytest

from mlip_train.command import main as train
from mlip_train.loop.budget import within
from mlip_train.robust.chain import read_chain
from tests.labelled import write_argon


def budgets(recipe):
    return [stage.budget_minutes for stage in recipe.stages]


def test_stages_share_a_time_by_their_epochs():
    fine_tune = read_chain("robust").fine_tune  # of 40 and 10 epochs
    assert budgets(within(fine_tune, 5.0)) == pytest.approx([4.0, 1.0])
    first, second = fine_tune.stages
    own = replace(fine_tune, stages=[replace(first, budget_minutes=2.0), second])
    assert budgets(within(own, 5.0)) == pytest.approx([2.0, 1.0])
    assert within(own, 5.0).stages[0].epochs == 40


def test_stages_that_have_minutes_share_a_time_by_these():
    fine_tune = read_chain("robust").fine_tune
    first, second = fine_tune.stages
    stages = [replace(first, budget_minutes=10.0), replace(second, budget_minutes=30.0)]
    own = replace(fine_tune, stages=stages)
    assert budgets(within(own, 8.0)) == pytest.approx([2.0, 6.0])
    assert budgets(within(own, 100.0)) == pytest.approx([10.0, 30.0])


def test_the_runs_of_a_chain_take_the_time_together():
    chain = read_chain("robust").within(7.0)
    shares = [budgets(recipe) for recipe in (chain.eam, chain.pretrain, chain.fine_tune)]
    assert sum(map(sum, shares)) == pytest.approx(7.0)
    assert all(budget > 0.0 for share in shares for budget in share)


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf"])
def test_a_time_that_cannot_be_meant_is_refused(minutes, tmp_path, capsys):
    data = str(write_argon(tmp_path / "argon.xyz", 3))
    for recipe in ("eam", "robust"):
        arguments = [recipe, "--data", data, "-o", str(tmp_path / recipe), f"--minutes={minutes}"]
        assert train(arguments) == 1
        assert "expected a positive number of minutes" in capsys.readouterr().err
        assert not (tmp_path / recipe).exists()


@pytest.mark.training
def test_a_run_ends_within_the_time(tmp_path):
    (tmp_path / "long.yaml").write_text(
        "name: a\nnetwork: {name: eam, cutoff: 5.2}\nn_validation: 1\nn_test: 1\noptimizer: adamw\n"
        "validate_every: 100000\n"
        "stages: [{name: a, epochs: 100000, learning_rate: 0.03, weights: {conservative: 1.0}}]\n"
    )
    data = str(write_argon(tmp_path / "argon.xyz", 5))
    arguments = [str(tmp_path / "long.yaml"), "--data", data, "-o", str(tmp_path / "run")]
    assert train([*arguments, "--minutes", "0.02"]) == 0
    assert (tmp_path / "run/test.json").is_file()
