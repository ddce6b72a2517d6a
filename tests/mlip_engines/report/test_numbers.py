"""Numbers as text."""

from mlip_engines.report.numbers import with_error


def test_numbers_that_are_missing_are_dashes():
    assert with_error(None, 0.1) == "-"
    assert with_error(float("nan"), 0.1) == "-"
    assert with_error(1.0, None, 1) == "1.0"
    assert with_error(0.25, 0.5, 1, sign=True) == "+0.2 ± 0.5"
