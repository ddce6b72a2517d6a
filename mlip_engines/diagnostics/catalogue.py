"""All diagnostics, in the order in which they run: what others build on comes first."""

from __future__ import annotations

from typing import ClassVar, Protocol

from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.closed_loop import ClosedLoop
from mlip_engines.diagnostics.cost import Cost
from mlip_engines.diagnostics.dynamics import Dynamics
from mlip_engines.diagnostics.jacobian_asymmetry import JacobianAsymmetry
from mlip_engines.diagnostics.npt import ConstantPressure
from mlip_engines.diagnostics.nve import ConstantEnergy
from mlip_engines.diagnostics.nvt import ConstantTemperature
from mlip_engines.diagnostics.optimisation import Optimisation
from mlip_engines.diagnostics.physicality import Physicality
from mlip_engines.diagnostics.result import Result, Section
from mlip_engines.diagnostics.stride import Stride
from mlip_engines.diagnostics.structure import Structure
from mlip_engines.diagnostics.symmetry import Symmetry
from mlip_engines.simulations.engine import Engine
from mlip_engines.simulations.simulation import Simulation, Trajectory


class Diagnostic(Protocol):
    """One question about the physics of a model."""

    name: ClassVar[str]  # of its part, and for --only
    title: ClassVar[str]
    needs_engine: ClassVar[bool]  # asked of each engine, or once of the model
    after: ClassVar[tuple[str, ...]]  # diagnostics whose results it looks at

    def simulations(
        self, case: Case, ensembles: tuple[str, ...], earlier: dict[str, Result]
    ) -> dict[str, Simulation]:
        """Return the trajectories it needs from an engine that has these ensembles."""
        ...

    def evaluations(self, case: Case) -> float:
        """Return roughly what it costs beside trajectories, in full evaluations of the structure."""
        ...

    def measure(
        self,
        case: Case,
        trajectories: dict[str, Trajectory],
        earlier: dict[str, Result],
        engine: Engine | None = None,
    ) -> Result:
        """Return numbers and series."""
        ...

    def render(self, result: Result) -> Section:
        """Return words, tables and figures."""
        ...


DIAGNOSTICS: dict[str, Diagnostic] = {
    d.name: d
    for d in (
        ConstantEnergy(),
        Stride(),
        Cost(),
        ConstantTemperature(),
        Structure(),
        Dynamics(),
        ConstantPressure(),
        Physicality(),
        JacobianAsymmetry(),
        ClosedLoop(),
        Optimisation(),
        Symmetry(),
    )
}


# What a fraction of a picosecond says nothing about; a quick look runs them only if they are named.
NOT_QUICK = ("dynamics", "npt")


def chosen(only: list[str] | None, *, quick: bool = False) -> list[Diagnostic]:
    """Return the diagnostics of these names with those they build on; all that make sense for None.

    Raises
    ------
    ValueError
        If there is no diagnostic of a name.
    """
    if not only:
        return [d for name, d in DIAGNOSTICS.items() if not (quick and name in NOT_QUICK)]
    names: set[str] = set()
    waiting = list(only)
    while waiting:
        name = waiting.pop()
        if name not in DIAGNOSTICS:
            raise ValueError(f"expected names of {', '.join(DIAGNOSTICS)}, got {name!r}")
        names.add(name)
        waiting += DIAGNOSTICS[name].after
    return [d for name, d in DIAGNOSTICS.items() if name in names]
