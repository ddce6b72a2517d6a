"""Wilson intervals against scipy."""

import pytest
from scipy.stats import binomtest

from mlip_engines.properties.proportion import wilson_interval


@pytest.mark.parametrize(("count", "total"), [(0, 20), (3, 20), (20, 20), (1, 1), (37, 100)])
def test_intervals_are_those_of_scipy(count, total):
    expected = binomtest(count, total).proportion_ci(0.95, method="wilson")
    assert wilson_interval(count, total) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize(("count", "total"), [(0, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(count, total):
    with pytest.raises(ValueError, match="expected a count"):
        wilson_interval(count, total)
