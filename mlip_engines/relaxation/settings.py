"""How structures are relaxed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mlip_engines.model.load import LoadedModel

OPTIMISERS = ("lbfgs", "bfgs", "fire")
FORCES = ("conservative", "non_conservative")


@dataclass(frozen=True)
class Settings:
    """What all structures of a relaxation have in common.

    Parameters
    ----------
    optimiser : {"lbfgs", "bfgs", "fire"}
    fmax : float, eV/Å
        A structure is relaxed when no atom has a larger force. With ``cell``, the force on the cell counts as well: the
        virial per atom in eV, as in ASE's ``FrechetCellFilter``.
    steps : int
        After which a structure that is not relaxed is given up.
    cell : bool
        Whether the cells of structures that are periodic in three directions are relaxed too.
    forces : {"conservative", "non_conservative"}
    max_edges : int
        Structures are evaluated together as long as they have at most so many edges: this bounds the memory. A
        structure that has more is evaluated alone.
    skin : float, Å
        Neighbour lists reach so much farther than the cutoff, and are made anew when atoms have moved too far.
    max_step : float, Å
        Of L-BFGS and BFGS, the longest step of an atom; of FIRE, of all atoms of a structure together, as in ASE.
    keep_path : bool
        Whether every step is kept.

    Raises
    ------
    ValueError
        If a value cannot be right.
    """

    optimiser: str = "lbfgs"
    fmax: float = 0.01
    steps: int = 500
    cell: bool = False
    forces: str = "conservative"
    max_edges: int = 20_000
    skin: float = 0.5
    max_step: float = 0.2
    keep_path: bool = False

    def __post_init__(self):
        for name, choices in (("optimiser", OPTIMISERS), ("forces", FORCES)):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}"
                )
        for name in ("fmax", "skin", "max_step"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{name} must be positive and finite, got {value}")
        if self.steps < 0 or self.max_edges < 1:
            raise ValueError(
                f"expected steps of at least 0 and max_edges of at least 1, got {self.steps} and {self.max_edges}"
            )
        if self.cell and self.forces == "non_conservative":
            raise ValueError(
                "a cell is relaxed by the stress of the energy, and non-conservative forces do not belong to that "
                "energy; relax the atoms only, or use conservative forces"
            )

    def check(self, model: LoadedModel) -> None:
        """Raise ValueError if the model has no such forces."""
        if self.forces == "non_conservative" and not model.metadata.has_non_conservative_forces:
            raise ValueError(
                f"{model.path}: non-conservative forces need a model with this head, got "
                f"{', '.join(model.metadata.heads)}; use conservative forces or another model"
            )
