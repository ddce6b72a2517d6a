"""Simulations at constant energy in LAMMPS, with times that follow from the price of an inner network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mlip_engines.simulations import Estimate, Forces
from mlip_engines.simulations.constant_energy import ConstantEnergy
from mlip_engines.simulations.pace import Limits, Pace
from mlip_train.acceleration.sampling import ENGINE
from mlip_train.acceleration.sizes import Price


class Climb(ConstantEnergy):
    """Simulations of one model from one start, with the times of one inner network."""

    def __init__(
        self,
        model: Path,
        start: Atoms,
        price: Price,
        limits: Limits,
        picoseconds: float,
        folder: Path,
        say: Callable[[str], None],
    ):
        c, nc = price.conservative_ms, price.non_conservative_ms
        super().__init__(model, start, ENGINE, c, nc, limits, picoseconds, folder, say)


def pace_as_dict(pace: Pace) -> dict[str, Any]:
    """Return plain values, from which :func:`pace_from_dict` makes the pace again."""
    return asdict(pace) | {"drift": list(pace.drift)}


def pace_from_dict(values: dict[str, Any]) -> Pace:
    """Make a pace from what :func:`pace_as_dict` returned."""
    return Pace(
        **{
            **values,
            "forces": Forces(**values["forces"]),
            "drift": Estimate(*(float(x) if x is not None else np.nan for x in values["drift"])),
        }
    )
