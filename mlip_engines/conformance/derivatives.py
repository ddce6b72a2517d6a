"""Forces and virial are derivatives of the energy, compared with differences of energies."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mlip_engines.conformance.equality import allowed_difference, require_equal
from mlip_engines.conformance.probes import Probe, cluster, crowded_cell
from mlip_engines.conformance.subject import Subject

_ERRORS = 4.0  # estimates of the error of a difference, within which it cannot tell


def check_forces(subject: Subject) -> str | None:
    """Forces are the negative gradient of the energy.

    Returns
    -------
    str or None
        A doubt: differences of energies that are too rough to tell.
    """
    doubts = []
    for probe in _probes(subject):
        forces = subject.evaluate(probe.graph(), head=False)["forces"]
        doubts += _compare(
            subject,
            "forces against energy differences",
            forces,
            lambda step, direction, probe=probe: probe.displaced(step * direction),
            subject.precision.step,
        )
    return "; ".join(doubts) or None


def check_virial(subject: Subject) -> str | None:
    """The virial is the negative derivative with respect to a strain, and the sum of those of the atoms.

    Returns
    -------
    str or None
        A doubt, as for :func:`check_forces`.
    """
    doubts = []
    for probe in _probes(subject):
        output = subject.evaluate(probe.graph(), head=False, atomic_virials=True)
        doubts += _compare(
            subject,
            "virial against strained energies",
            output["virial"],
            lambda step, direction, probe=probe: probe.strained(step * direction),
            subject.precision.step / subject.cutoff,  # no edge grows by more than the step
        )
        total = output["atomic_virials"].sum(dim=0)
        require_equal("sum of atomic virials", output["virial"], total, subject.equal)
    return "; ".join(doubts) or None


def _probes(subject: Subject) -> tuple[Probe, Probe]:
    return cluster(subject.cutoff, subject.numbers), crowded_cell(subject.cutoff, subject.numbers)


def _compare(
    subject: Subject,
    name: str,
    expected: Tensor,
    at: Callable[[float, Tensor], Probe],
    step: float,
) -> list[str]:
    """Compare a derivative with differences of energies along each of its elements, and return doubts.

    Where the function is too steep for the steps of the dtype, or only once differentiable, the differences have an
    error of their own that is known. What is within it is no fault of the model.
    """
    limit = subject.precision.derivative
    allowed = allowed_difference(expected, limit)
    found, errors = torch.zeros_like(expected), torch.zeros_like(expected)
    for k in range(expected.numel()):
        direction = torch.zeros_like(expected)
        direction.view(-1)[k] = 1.0
        slope, error = _derivative(subject, lambda s, d=direction: at(s, d), step, allowed)
        found.view(-1)[k], errors.view(-1)[k] = -slope, error
    differences = (found - expected).abs()
    rough = (differences > allowed) & (differences <= _ERRORS * errors)
    require_equal(name, torch.where(rough, expected, found), expected, limit)
    if not bool(rough.any()):
        return []
    return [
        f"{name}: expected differences to {allowed:.3g}; got {float(differences[rough].max()):.3g}, which "
        f"their own error of {float(errors[rough].max()):.3g} may explain: the model is steep"
    ]


def _derivative(
    subject: Subject, at: Callable[[float], Probe], step: float, allowed: float
) -> tuple[float, float]:
    """Derivative of the energy along a path, and its error, with a step that fits the model.

    This is the method of Ridders, Adv. Eng. Softw. 4, 75 (1982). Central differences are extrapolated to a step of
    zero, while it is halved until the result stays the same to a tenth of what is ``allowed``: a cutoff function that
    falls within a tenth of an Å needs other steps than a wide one.
    """
    best, least = float("nan"), float("inf")
    before: list[float] = []
    for _ in range(subject.precision.halvings + 1):
        difference = subject.energy(at(step).graph()) - subject.energy(at(-step).graph())
        row = [difference / (2.0 * step)]
        for k, coarser in enumerate(before):
            row.append(row[k] + (row[k] - coarser) / (4.0 ** (k + 1) - 1.0))
            change = max(abs(row[k + 1] - row[k]), abs(row[k + 1] - coarser))
            if change < least:
                best, least = row[k + 1], change
        if least < 0.1 * allowed:
            break
        before, step = row, 0.5 * step
    return best, least
