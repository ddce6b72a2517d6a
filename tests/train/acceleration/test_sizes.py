"""The size of the inner network follows from what it costs."""

import pytest

from mlip_train.acceleration.sizes import SIZES, Price, first_size, next_size


def prices(conservative_ms):
    return [
        Price(s.name, conservative_ms, ms) for s, ms in zip(SIZES, (1.0, 2.0, 4.0), strict=True)
    ]


def test_the_speed_up_is_that_of_one_dear_and_many_cheap_evaluations():
    price = Price("small", 12.0, 2.0)
    m, f = 5, price.ratio
    assert f == 6.0
    assert price.speed_up(m) == pytest.approx(m * f / (m - 1 + f), rel=1e-12)
    assert price.speed_up(1) == 1.0


def test_a_dear_model_can_afford_the_large_network_and_a_cheap_one_cannot():
    assert first_size(prices(1000.0), 12).size == "large"
    assert first_size(prices(100.0), 12).size == "medium"
    assert first_size(prices(3.0), 12).size == "small"


def test_the_next_size_goes_where_the_limit_is():
    assert next_size(prices(1000.0), "small", 8).size == "medium"  # drift limits
    assert next_size(prices(4.0), "medium", 8).size == "small"  # the price limits
    assert next_size(prices(20.0), "medium", 8).size == "medium"  # both
    assert next_size(prices(1000.0), "large", 8).size == "large"
    assert next_size(prices(4.0), "small", 8).size == "small"


def test_the_network_sees_no_farther_than_the_energy():
    assert SIZES[0].settings(["Cu"], 4.2)["cutoff"] == 4.2
    assert SIZES[0].settings(["H", "O"], 6.0)["cutoff"] < SIZES[0].settings(["Cu"], 6.0)["cutoff"]
