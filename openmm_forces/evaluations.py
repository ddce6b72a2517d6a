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
INNER_PARAMETER = "mlip_forces_inner"  # of two forces in two force groups
OUTER_PARAMETER = "mlip_forces_outer"
_NAMES = (PARAMETER, INNER_PARAMETER, OUTER_PARAMETER)


class EvaluationCounts(NamedTuple):
    """Evaluations of one Context so far, and how far its two kinds of forces differ."""

    non_conservative: int  # evaluations of the non-conservative head alone
    full: int  # evaluations of the energy and conservative forces, with or without the head
    rms_correction: float  # eV/Å, |C - NC| root mean square over atoms, where both were known last
    max_correction: float  # eV/Å, its largest value there; both are NaN before the first time
    list_rebuilds: int  # of the neighbour list


class HeadDisagreement(NamedTuple):
    """How far conservative (C) and non-conservative (NC) forces differ at one set of positions."""

    rms: float  # eV/Å, |C - NC| root mean square over atoms
    max: float  # eV/Å, its largest value


def evaluation_counts(context: openmm.Context) -> EvaluationCounts:
    """Return the counters of a Context; evaluates nothing.

    A PythonForce counts for all Contexts made from it. Counts of several forces in one System are added.

    Raises
    ------
    ValueError
        If the System of the Context has no force from this package.
    """
    _check_present(context)
    with _parameters(context) as before:
        names = sorted(before)
        # Of two forces in two groups the outer one knows both kinds of forces.
        knowing = [name for name in names if name != INNER_PARAMETER]
        baseline = _answer(context, names, -6)  # other forces of the System
        answers = [_answer(context, names, -k) for k in (1, 2, 5)]
        _answer(context, names, -6)
        correction = [_answer(context, knowing, -k) - baseline for k in (3, 4)]
    counts = [round(answer - baseline) for answer in answers]
    return EvaluationCounts(counts[0], counts[1], correction[0], correction[1], counts[2])


def conservative_energy(context: openmm.Context) -> unit.Quantity:
    """Return the conservative potential energy, also if the forces in use are non-conservative.

    The non-conservative forces are evaluated in the same pass, and the next step uses them.

    Raises
    ------
    ValueError
        If the System of the Context has no force from this package.
    """
    _check_present(context)
    return conservative_state(context).getPotentialEnergy()


def conservative_state(context: openmm.Context) -> openmm.State:
    """Return a State with positions, velocities, and conservative energy and forces."""
    with _parameters(context) as before:
        if before.get(PARAMETER, 0.0) > 0.0:
            context.setParameter(PARAMETER, 3)
        return context.getState(positions=True, velocities=True, energy=True, forces=True)


def head_disagreement(context: openmm.Context) -> HeadDisagreement:
    """Return |C - NC| at the present positions.

    This costs nothing after an outer step of r-RESPA, where both are known, and one evaluation otherwise.

    Raises
    ------
    ValueError
        If the System of the Context has no force from this package.
    openmm.OpenMMException
        If the model has no head for non-conservative forces.
    """
    _check_present(context)
    with _parameters(context) as before:
        if PARAMETER in before:
            context.setParameter(PARAMETER, 3)
        context.getState(getForces=True)
    counts = evaluation_counts(context)
    return HeadDisagreement(counts.rms_correction, counts.max_correction)


@contextmanager
def _parameters(context: openmm.Context) -> Iterator[dict[str, float]]:
    """Yield the values of the global parameters that are ours; set them back whatever happens."""
    present = dict(context.getParameters())
    before = {name: present[name] for name in _NAMES if name in present}
    try:
        yield before
    finally:
        for name, value in before.items():
            context.setParameter(name, value)


def _check_present(context: openmm.Context) -> None:
    present = set(dict(context.getParameters()))
    if not present & set(_NAMES):
        raise ValueError(
            f"expected a Context with the global parameter {PARAMETER!r}, got "
            f"{sorted(present) or 'none'}; add a force from create_force to its System"
        )


def _answer(context: openmm.Context, names: list[str], value: int) -> float:
    for name in names:
        context.setParameter(name, value)
    energy = context.getState(getEnergy=True).getPotentialEnergy()
    return energy.value_in_unit(unit.kilojoule_per_mole)
