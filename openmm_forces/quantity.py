"""Arguments that may be numbers or quantities, as OpenMM takes them."""

from __future__ import annotations

from openmm import unit


def to_unit(value: float | unit.Quantity, wanted: unit.Unit) -> float:
    """Return a number in a unit; one without a unit is taken to be in it already."""
    return value.value_in_unit(wanted) if unit.is_quantity(value) else float(value)


def positive(value: float, what: str, symbol: str) -> float:
    """Return a positive, finite number.

    Raises
    ------
    ValueError
        If it is neither; the message says what was expected.
    """
    if not 0.0 < value < float("inf"):
        raise ValueError(f"expected {what}, got {value} {symbol}")
    return value
