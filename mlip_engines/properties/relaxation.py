"""The structure that a minimiser of ASE ends at, and how it got there.

References
----------
Bitzek, Koskinen, Gähler, Moseler, Gumbsch, Phys. Rev. Lett. 97, 170201 (2006), for FIRE; Liu, Nocedal, Math. Program.
45, 503 (1989), for L-BFGS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

MINIMISERS = ("FIRE", "LBFGS")
GIVE_UP = 1e3  # eV/Å; forces as large as this lead nowhere


class Relaxation(NamedTuple):
    """Result of :func:`relax`.

    Parameters
    ----------
    atoms : ase.Atoms
        The last structure.
    converged : bool
        Whether the largest force on an atom is below the threshold.
    largest_force : list of float, eV/Å
        The largest force on an atom at each step, the given structure included.
    """

    atoms: Atoms
    converged: bool
    largest_force: list[float]

    @property
    def n_steps(self) -> int:
        """Steps that were taken."""
        return len(self.largest_force) - 1


def relax(
    atoms: Atoms,
    calculator: Calculator,
    *,
    minimiser: str = "LBFGS",
    threshold: float = 1e-4,
    n_steps: int = 1000,
) -> Relaxation:
    """Move the atoms of a copy of a structure, at a fixed cell, until the forces vanish.

    Parameters
    ----------
    atoms : ase.Atoms
    calculator : ase.calculators.calculator.Calculator
        For a model, :class:`mlip_engines.MlipCalculator`.
    minimiser : {"FIRE", "LBFGS"}
    threshold : float, eV/Å
        On the largest force on an atom.
    n_steps : int
        After which it gives up, as it does when a force exceeds 1000 eV/Å or is not finite.

    Returns
    -------
    Relaxation

    Raises
    ------
    ValueError
        If there is no such minimiser.
    """
    import ase.optimize

    from mlip_engines.calculator import NonFiniteResultError

    if minimiser not in MINIMISERS:
        raise ValueError(f"minimiser must be one of {', '.join(MINIMISERS)}, got {minimiser!r}")
    moved = atoms.copy()
    moved.calc = calculator
    largest: list[float] = []
    run = getattr(ase.optimize, minimiser)(moved, logfile=None)
    try:
        for _ in run.irun(fmax=threshold, steps=n_steps):
            largest.append(float(np.linalg.norm(moved.get_forces(), axis=1).max()))
            if not largest[-1] < GIVE_UP:
                break
    except NonFiniteResultError:
        largest.append(float("nan"))
    return Relaxation(moved, bool(largest and largest[-1] < threshold), largest)
