"""What a Context has evaluated so far, asked through the force itself.

OpenMM gives every Context its own copy of a hosted module and returns from it an energy and forces,
nothing else. Negative values of the global parameter therefore make the force answer with a number
in place of the energy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import openmm
from openmm import unit

PARAMETER = "mlip_forces"


class EvaluationCounts(NamedTuple):
    """Evaluations of one Context so far, and how far its two kinds of forces are apart."""

    non_conservative: int  # evaluations of the non-conservative head alone
    full: int  # evaluations of the energy and conservative forces, with or without the head
    rms_correction: float  # eV/Å, |C - NC| root mean square over atoms, where both were known last
    max_correction: float  # eV/Å, its largest value there; both are NaN before the first time
    list_rebuilds: int  # of the neighbour list


def evaluation_counts(context: openmm.Context) -> EvaluationCounts:
    """Return the counters of a Context; evaluates nothing.

    A force hosted by Python counts for all Contexts made from it. Several forces in one System are
    added up.

    Raises
    ------
    ValueError
        If the System of the Context has no force from this package.
    """
    with _request(context, 0):
        baseline = _energy(context, -6)  # other forces of the System
        answers = [_energy(context, -k) - baseline for k in (1, 2, 3, 4, 5)]
    return EvaluationCounts(
        round(answers[0]), round(answers[1]), answers[2], answers[3], round(answers[4])
    )


def conservative_energy(context: openmm.Context) -> unit.Quantity:
    """Return the potential energy where the forces in use are non-conservative and have none.

    The non-conservative forces are evaluated in the same pass, so that the next step is spared
    them.

    Raises
    ------
    ValueError
        If the System of the Context has no force from this package.
    """
    with _request(context, 0) as before:
        if before > 0:
            context.setParameter(PARAMETER, 3)
        return context.getState(getEnergy=True).getPotentialEnergy()


@contextmanager
def _request(context: openmm.Context, value: int) -> Iterator[float]:
    """Set the global parameter, yield what it was, and set it back whatever happens."""
    if PARAMETER not in context.getParameters():
        raise ValueError(
            f"expected a Context with the global parameter {PARAMETER!r}, got "
            f"{sorted(context.getParameters()) or 'none'}; add a force from create_force to its "
            "System"
        )
    before = context.getParameter(PARAMETER)
    context.setParameter(PARAMETER, value)
    try:
        yield before
    finally:
        context.setParameter(PARAMETER, before)


def _energy(context: openmm.Context, value: int) -> float:
    context.setParameter(PARAMETER, value)
    energy = context.getState(getEnergy=True).getPotentialEnergy()
    return energy.value_in_unit(unit.kilojoule_per_mole)
