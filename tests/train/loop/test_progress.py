"""How far a run has come: by steps, or by time where a stage has a budget."""

import math
from dataclasses import asdict

import pytest

from mlip_train.loop.progress import Progress
from mlip_train.loss_weights import LossWeights
from mlip_train.recipe import Stage


def test_a_stage_with_a_budget_ends_by_time_if_that_comes_first():
    steps, timed = (
        Stage("a", 10, 0.01, LossWeights(), budget_minutes=budget) for budget in (0.0, 2.0)
    )
    progress = Progress(epoch=2, step_in_epoch=3, elapsed=90.0)
    assert progress.fraction_of_stage(steps, 6) == pytest.approx(0.25)  # 2.5 of 10 epochs
    assert progress.fraction_of_stage(timed, 6) == pytest.approx(0.75)  # 1.5 of 2 minutes
    progress.elapsed = 6.0
    assert progress.fraction_of_stage(timed, 6) == pytest.approx(0.25)


def test_losses_are_means_over_the_steps_of_an_epoch_that_a_checkpoint_keeps():
    progress = Progress()
    assert math.isnan(progress.mean_loss)
    progress.add_step({"total": 1.0, "energy": 0.5}, 1.0)
    resumed = Progress.of({"weights": {}, **asdict(progress)})
    resumed.add_step({"total": 3.0, "energy": 0.1}, 2.0)
    assert (resumed.mean_loss, resumed.sums["energy"], resumed.elapsed) == (2.0, 0.6, 2.0)
    resumed.next_epoch()
    assert math.isnan(resumed.mean_loss) and resumed.elapsed == 2.0
    resumed.next_stage()
    assert resumed == Progress(stage_index=1)
