"""Error bars of correlated series, against an autoregressive process whose correlation is known."""

import numpy as np
import pytest

from mlip_engines.simulations.statistics import (
    Estimate,
    combine,
    mean_and_error,
    slope_and_error,
    statistical_inefficiency,
)


def autoregressive(rng, n, phi, n_series=1):
    """x_k = phi x_{k-1} + noise, of unit variance and stationary from the start: an Ornstein-Uhlenbeck process."""
    noise = np.sqrt(1.0 - phi**2) * rng.normal(size=(n, n_series))
    x = np.empty((n, n_series))
    x[0] = rng.normal(size=n_series)
    for k in range(1, n):
        x[k] = phi * x[k - 1] + noise[k]
    return x.T


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_statistical_inefficiency_is_that_of_the_process(phi):
    series = autoregressive(np.random.default_rng(1), 100_000, phi)[0]
    assert statistical_inefficiency(series) == pytest.approx((1 + phi) / (1 - phi), rel=0.1)


def test_a_constant_series_has_no_correlation():
    assert statistical_inefficiency(np.ones(10)) == 1.0


@pytest.mark.parametrize("phi", [0.0, 0.9])
def test_the_mean_lies_within_its_error_as_often_as_it_should(phi):
    estimates = [
        mean_and_error(x) for x in autoregressive(np.random.default_rng(2), 2000, phi, 400)
    ]
    inside = np.mean([abs(e.value) < e.error for e in estimates])
    # 68 % of 400: a standard deviation of 2.3 %; short series underestimate correlation a little
    assert 0.58 < inside < 0.76


def test_errors_that_ignore_correlation_would_fail_the_same_test():
    series = autoregressive(np.random.default_rng(2), 2000, 0.9, 400)
    naive = series.std(axis=1) / np.sqrt(series.shape[1])
    assert np.mean(np.abs(series.mean(axis=1)) < naive) < 0.4


def test_the_slope_lies_within_its_error_as_often_as_it_should():
    time = np.linspace(0.0, 3.0, 1000)
    series = autoregressive(np.random.default_rng(3), 1000, 0.8, 300)
    estimates = [slope_and_error(time, 0.7 * time + x) for x in series]
    assert np.mean([e.value for e in estimates]) == pytest.approx(0.7, abs=0.05)
    inside = np.mean([abs(e.value - 0.7) < e.error for e in estimates])
    assert 0.58 < inside < 0.78


def test_runs_that_disagree_widen_the_error():
    agree = combine([Estimate(1.0, 0.1), Estimate(1.0, 0.1)])
    assert agree == pytest.approx((1.0, 0.1 / np.sqrt(2)))
    disagree = combine([Estimate(0.0, 0.1), Estimate(2.0, 0.1)])
    assert disagree == pytest.approx((1.0, 1.0))
    assert combine([Estimate(3.0, 0.2)]) == (3.0, 0.2)


def test_differences_add_errors_in_squares():
    assert Estimate(5.0, 3.0) - Estimate(1.0, 4.0) == pytest.approx((4.0, 5.0))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mean_and_error([]), "at least one value"),
        (lambda: slope_and_error([1.0, 1.0], [0.0, 1.0]), "different places"),
        (lambda: combine([]), "at least one estimate"),
    ],
)
def test_nothing_to_average_is_an_error(call, words):
    with pytest.raises(ValueError, match=words):
        call()
