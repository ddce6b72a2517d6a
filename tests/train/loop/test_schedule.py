"""The learning rate against its description, and the average against its definition."""

import math

import pytest
import torch
from torch import nn

from mlip_train.loop.schedule import follow, learning_rate
from mlip_train.loss_weights import LossWeights
from mlip_train.recipe import Recipe, Stage
from tolerances import EXACT

STAGE = Stage("a", 10, 0.02, LossWeights())


def test_a_stage_warms_up_over_a_tenth_of_it_and_falls_as_a_cosine_to_a_hundredth():
    recipe = Recipe("test", [STAGE])
    for progress, expected in [(0.05, 0.01), (0.1, 0.02), (0.55, 0.02 * 0.505), (1.0, 0.0002)]:
        assert learning_rate(recipe, STAGE, progress) == pytest.approx(expected, abs=EXACT)
    quarter = 0.01 + 0.99 * (1 + math.cos(math.pi / 4)) / 2
    assert learning_rate(recipe, STAGE, 0.325) == pytest.approx(0.02 * quarter, abs=EXACT)
    assert 0.0 < learning_rate(recipe, STAGE, 0.0) < 1e-4
    without = Recipe("test", [STAGE], warm_up=0.0)
    assert learning_rate(without, STAGE, 0.0) == pytest.approx(0.02, abs=EXACT)


def test_the_average_forgets_exponentially_and_faster_while_it_is_young():
    average, network = nn.Linear(1, 1, bias=False).double(), nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        average.weight.fill_(1.0)
        network.weight.fill_(0.0)
    follow(average, network, 0.9, 10_000)
    assert float(average.weight.detach()) == pytest.approx(0.9, abs=EXACT)
    follow(average, network, 0.9, 1)
    assert float(average.weight.detach()) == pytest.approx(0.9 * 2 / 11, abs=EXACT)
