"""Numbers as text, with their errors; what is missing is a dash."""

from __future__ import annotations

import math


def number(value: float | None, digits: int = 2, *, sign: bool = False) -> str:
    """Format a number that may be missing (None or NaN)."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:{'+' if sign else ''}.{digits}f}"


def with_error(
    value: float | None, error: float | None, digits: int = 2, *, sign: bool = False
) -> str:
    """Format a value with its standard error, where there is one."""
    text = number(value, digits, sign=sign)
    if text == "-" or error is None or not math.isfinite(error):
        return text
    return f"{text} ± {error:.{digits}f}"
