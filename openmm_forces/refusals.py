"""What OpenMM would do wrongly or with a message that helps nobody, refused where Python can see it."""

from __future__ import annotations

import functools
from collections.abc import Callable

import openmm

from openmm_forces.evaluations import PARAMETER

_LOCKED = "holding the GIL"
_ADVICE = (
    "expected forces that can be evaluated while Python's lock is held, as OpenMM does in {name}, got a TorchForce, in "
    "which torch refuses to differentiate then; make the System with host='python'"
)
_BAROSTATS = ("MonteCarloBarostat", "MonteCarloAnisotropicBarostat", "MonteCarloFlexibleBarostat")


@functools.cache  # once in a process
def refuse_what_cannot_work() -> None:
    """Check calls of OpenMM in this process; those that have nothing to do with a model stay as they are."""
    minimize = openmm.LocalEnergyMinimizer.minimize
    openmm.LocalEnergyMinimizer.minimize = staticmethod(_needs_an_energy(_unlocked(minimize)))
    for name in _BAROSTATS:
        kind = getattr(openmm, name)
        kind.computeCurrentPressure = _unlocked(kind.computeCurrentPressure)


def _needs_an_energy(minimize: Callable) -> Callable:
    @functools.wraps(minimize)
    def checked(context: openmm.Context, *args, **kwargs):
        forces = dict(context.getParameters()).get(PARAMETER, 0.0)
        if forces in (1.0, 4.0):
            raise ValueError(
                "expected conservative forces, got non-conservative ones, which have no energy to minimise; call "
                f'context.setParameter("{PARAMETER}", 0) before and {forces:.0f} after, or make the System with '
                "forces='conservative'"
            )
        return minimize(context, *args, **kwargs)

    return checked


def _unlocked(call: Callable) -> Callable:
    @functools.wraps(call)
    def checked(*args, **kwargs):
        try:
            return call(*args, **kwargs)
        except openmm.OpenMMException as e:
            if _LOCKED not in str(e):
                raise
            name = getattr(call, "__name__", "this call")
            raise openmm.OpenMMException(_ADVICE.format(name=name)) from e

    return checked
