"""How phonons are computed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

# Å. Large displacements of non-conservative forces average over the noise that direct forces of unconstrained networks
# have; conservative forces need them small enough to be harmonic.
DISPLACEMENTS = {"conservative": 0.03, "non_conservative": 0.1}


@dataclass(frozen=True)
class PhononSettings:
    """What is the same for all curves of a calculation.

    Parameters
    ----------
    supercell : tuple of int, optional
        How often the cell is repeated along each lattice vector. Default: as often as the model needs.
    displacements : dict of str to float, Å
        By kind of forces.
    mesh : float, Å
        Density of the mesh of q for the density of states and the free energy, as phonopy's number ``mesh``.
    path_points : int
        q on each part of the path of the bands.
    temperature_max, temperature_step : float, K
        Of the free energy.
    tolerance : float, Å
        Within which the crystal has its symmetry.
    max_edges : int
        Of displaced cells that are evaluated together.

    Raises
    ------
    ValueError
        If a value cannot be right.
    """

    supercell: tuple[int, int, int] | None = None
    displacements: dict[str, float] = field(default_factory=lambda: dict(DISPLACEMENTS))
    mesh: float = 50.0
    path_points: int = 51
    temperature_max: float = 1000.0
    temperature_step: float = 10.0
    tolerance: float = 1e-4
    max_edges: int = 40_000

    def __post_init__(self):
        values = {
            "mesh": self.mesh,
            "temperature_max": self.temperature_max,
            "temperature_step": self.temperature_step,
            "tolerance": self.tolerance,
            **{f"displacement of {k} forces": v for k, v in self.displacements.items()},
        }
        for name, value in values.items():
            if not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{name} must be positive and finite, got {value}")
        if self.path_points < 2:
            raise ValueError(f"expected at least 2 points on a path, got {self.path_points}")
        if self.supercell is not None and min(self.supercell) < 1:
            raise ValueError(
                f"expected three repeats of at least 1, such as 4 4 4, got {self.supercell}"
            )
