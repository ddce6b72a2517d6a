"""Pooling and scales of properties against sums written out."""

import numpy as np
import pytest
import torch

from mlip_train.property.pooling import POOLINGS, Pooling
from mlip_train.property.scales import Scales

SIZES = [3, 1, 4]


@pytest.mark.parametrize("kind", POOLINGS)
def test_pooling_equals_the_formula_structure_by_structure(kind):
    torch.manual_seed(1)
    pooling = Pooling(5, 2, kind).double()
    features = torch.randn(sum(SIZES), 5, dtype=torch.float64)
    structure = torch.repeat_interleave(torch.arange(3), torch.tensor(SIZES))
    found = pooling(features, structure, torch.tensor(SIZES))
    for s, own in enumerate(features.split(SIZES)):
        values = pooling.values(own)
        expected = {
            "sum": lambda v: v.sum(dim=0),
            "mean": lambda v: v.mean(dim=0),
            "attention": lambda v, own=own: (torch.softmax(pooling.scores(own), 0) * v).sum(dim=0),
        }[kind](values)
        torch.testing.assert_close(found[s], expected)


def test_attention_does_not_overflow():
    pooling = Pooling(1, 1, "attention").double()
    features = torch.tensor([[1e6], [1.0]], dtype=torch.float64)
    assert torch.isfinite(pooling(features, torch.tensor([0, 0]), torch.tensor([2]))).all()


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="pooling must be one of"):
        Pooling(1, 1, "max")


def test_extensive_targets_have_a_value_per_element():
    rng = np.random.default_rng(0)
    numbers = [torch.tensor([1] * a + [8] * b) for a, b in rng.integers(1, 5, (12, 2))]
    values = torch.tensor(
        [[-13.6 * int((z == 1).sum()) - 430.0 * int((z == 8).sum())] for z in numbers]
    )
    scales = Scales(1, is_extensive=True)
    scales.fit(numbers, values.double())
    assert float(scales.per_element[1, 0]) == pytest.approx(-13.6, rel=1e-6)
    assert float(scales.per_element[8, 0]) == pytest.approx(-430.0, rel=1e-6)


def test_scales_do_without_what_is_missing():
    scales = Scales(2, is_extensive=False)
    values = torch.tensor([[1.0, torch.nan], [3.0, 5.0]], dtype=torch.float64)
    scales.fit([torch.tensor([1]), torch.tensor([8])], values)
    assert scales.mean.tolist() == [2.0, 5.0]
    assert scales.spread.tolist() == [1.0, 1.0]  # of one value there is no spread to scale by
