"""All diagnostics, in the order of the report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from mlip_engines.diagnostics.closed_loop import ClosedLoop
from mlip_engines.diagnostics.configurational_temperature import ConfigurationalTemperature
from mlip_engines.diagnostics.cost import Cost
from mlip_engines.diagnostics.diagnostic import (
    Diagnostic,
    EngineDiagnostic,
    ModelDiagnostic,
    TrajectoryDiagnostic,
)
from mlip_engines.diagnostics.dynamics import Dynamics
from mlip_engines.diagnostics.jacobian_asymmetry import JacobianAsymmetry
from mlip_engines.diagnostics.linear_theory import LinearTheory
from mlip_engines.diagnostics.npt import ConstantPressure
from mlip_engines.diagnostics.nve import ConstantEnergy
from mlip_engines.diagnostics.nvt import ConstantTemperature
from mlip_engines.diagnostics.optimisation import Optimisation
from mlip_engines.diagnostics.physicality import Physicality
from mlip_engines.diagnostics.stride import Stride
from mlip_engines.diagnostics.structure import Structure
from mlip_engines.diagnostics.symmetry import Symmetry


def registered(diagnostics: Iterable[Diagnostic]) -> Mapping[str, Diagnostic]:
    """Return diagnostics by name, in the same order, after making sure that they can be run.

    Parameters
    ----------
    diagnostics : iterable of Diagnostic
        In the order of the report. What others build on is run first, wherever it stands.

    Raises
    ------
    ValueError
        If two have the same name, a name is no plain word, one is of no kind, or one builds on what is not there, on
        a question that no engine is asked, or on itself.
    """
    found: dict[str, Diagnostic] = {}
    for d in diagnostics:
        if not isinstance(d, (ModelDiagnostic, TrajectoryDiagnostic, EngineDiagnostic)):
            raise ValueError(
                "expected a ModelDiagnostic, TrajectoryDiagnostic or EngineDiagnostic, got "
                f"{type(d).__name__}"
            )
        if not re.fullmatch(r"[a-z][a-z0-9_]*", d.name):  # it is part of file names
            raise ValueError(
                f"expected a name of small letters, digits and underscores, got {d.name!r}"
            )
        if d.name in found:
            raise ValueError(f"two diagnostics are called {d.name!r}")
        found[d.name] = d
    for d in found.values():
        for name in d.after:
            if name not in found or isinstance(found[name], ModelDiagnostic):
                raise ValueError(
                    f"{d.name} builds on {name!r}, which is no question to an engine in "
                    f"{', '.join(found)}"
                )
        if isinstance(d, ModelDiagnostic) and d.after:
            raise ValueError(f"{d.name} is about a model alone and cannot build on {d.after}")
    for d in found.values():
        if d.name in _all_before(d, found):
            raise ValueError(f"{d.name} builds on itself")
    return MappingProxyType(found)


def _all_before(diagnostic: Diagnostic, known: Mapping[str, Diagnostic]) -> set[str]:
    """Return the names of what a diagnostic builds on, directly or not."""
    before: set[str] = set()
    waiting = list(diagnostic.after)
    while waiting:
        name = waiting.pop()
        if name not in before:
            before.add(name)
            waiting += known[name].after
    return before


DIAGNOSTICS = registered(
    (
        Stride(),
        ConstantEnergy(),
        Cost(),
        ConstantTemperature(),
        ConfigurationalTemperature(),
        ConstantPressure(),
        Structure(),
        Dynamics(),
        LinearTheory(),
        JacobianAsymmetry(),
        ClosedLoop(),
        Optimisation(),
        Physicality(),
        Symmetry(),
    )
)


def chosen(
    only: Iterable[str] | None,
    *,
    quick: bool = False,
    among: Mapping[str, Diagnostic] = DIAGNOSTICS,
) -> list[Diagnostic]:
    """Return the diagnostics of these names with those they build on; all that make sense for None.

    Raises
    ------
    ValueError
        If there is no diagnostic of a name.
    """
    if not only:
        return [d for d in among.values() if d.in_quick_look or not quick]
    names: set[str] = set()
    for name in only:
        if name not in among:
            raise ValueError(f"expected names of {', '.join(among)}, got {name!r}")
        names |= {name, *_all_before(among[name], among)}
    return [d for name, d in among.items() if name in names]
