"""What a model may depend on of a structure as a whole: its total charge and its spin multiplicity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Real  # numpy's numbers too, without importing it
from typing import Any

# Where structures in ASE carry these, in Atoms.info; the first that is there counts.
INFO_KEYS = {
    "total_charge": ("total_charge", "charge"),
    "spin_multiplicity": ("spin_multiplicity", "spin"),
}


def checked_structure_inputs(
    asked: Iterable[str], given: Mapping[str, float | None], where: str
) -> dict[str, float]:
    """Return the values that a model depends on, if what is given is exactly that.

    Parameters
    ----------
    asked : iterable of str
        ``structure_inputs`` of the model's metadata.
    given : dict of str to float or None
        None is not given. Charges in elementary charges; multiplicities 2 S + 1.
    where : str
        The model file, for messages.

    Raises
    ------
    ValueError
        If one is missing, one is given that the model does not depend on, or a value cannot be right.
    """
    asked = list(asked)
    values = {name: float(value) for name, value in given.items() if value is not None}
    needless = sorted(set(values) - set(asked))
    if needless:
        raise ValueError(
            f"{where}: got {' and '.join(needless)}, which this model does not depend on; leave it out, or use a model "
            "that does"
        )
    missing = [name for name in asked if name not in values]
    if missing:
        raise ValueError(
            f"{where}: the model depends on {' and '.join(missing)} of the structure, and got none; give "
            + ", ".join(f"{name}=..." for name in missing)
        )
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"{where}: {name} must be finite, got {value}")
    multiplicity = values.get("spin_multiplicity", 1.0)
    if multiplicity < 1.0 or multiplicity != round(multiplicity):
        raise ValueError(
            f"{where}: spin_multiplicity is 2 S + 1, a whole number of at least 1, got {multiplicity:g}"
        )
    return values


def structure_inputs_from_info(asked: Iterable[str], info: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of the values a model depends on is in ``Atoms.info``, under one of :data:`INFO_KEYS`."""
    found = {}
    for name in asked:
        for key in INFO_KEYS.get(name, ()):
            if key in info:
                found[name] = info[key]
                break
    return found


def structure_inputs_of(asked: Iterable[str], info: Mapping[str, Any]) -> dict[str, float]:
    """Return the values that a model depends on, all of them from ``Atoms.info``.

    Raises
    ------
    ValueError
        If one is missing or cannot be right.
    """
    asked = list(asked)
    return checked_structure_inputs(asked, structure_inputs_from_info(asked, info), "atoms.info")


def numbers_from_info(info: Mapping[str, Any]) -> dict[str, float]:
    """Return all values in ``Atoms.info`` that are numbers, for whatever model will be asked; none is required."""
    found = structure_inputs_from_info(INFO_KEYS, info)
    return {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, Real) and not isinstance(value, bool)
    }
