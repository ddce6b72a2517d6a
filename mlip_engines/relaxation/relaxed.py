"""What became of a structure."""

from __future__ import annotations

from dataclasses import dataclass, field

from ase import Atoms

NOT_CONVERGED = "not converged"
EXPLODED = "exploded"
UNKNOWN_ELEMENT = "element unknown"
REFUSED = "refused"


@dataclass
class Relaxed:
    """One structure after its relaxation.

    Parameters
    ----------
    index : int
        Its place among the structures that were given, from 0.
    atoms : ase.Atoms
        The last structure, with energy, forces and, of a crystal whose cell was relaxed, stress. A structure that could
        not be evaluated has none of them and is as it was given.
    failure : str or None
        None if it is relaxed; else "not converged", "exploded", "element unknown" or "refused".
    reason : str
        A sentence about the failure.
    steps : int
        How many steps were taken.
    largest_force : float, eV/Å
        At the end, with the force on the cell if that was relaxed; NaN without an evaluation.
    energy_before, energy_after : float, eV
    path : list of ase.Atoms
        Every step with energy and forces, from the first structure to the last, if it was asked for.
    """

    index: int
    atoms: Atoms
    failure: str | None = None
    reason: str = ""
    steps: int = 0
    largest_force: float = float("nan")
    energy_before: float = float("nan")
    energy_after: float = float("nan")
    path: list[Atoms] = field(default_factory=list)

    @property
    def converged(self) -> bool:
        """Whether the forces are below the threshold."""
        return self.failure is None
