"""What a diagnostic is: one question about the physics of a model.

There are three kinds, by what they look at: a model on one structure, trajectories that an engine runs, or the engine
itself. Each measures (numbers, in a :class:`~mlip_engines.diagnostics.result.Result` that is kept on disk) and renders
(words, tables and figures, from those numbers alone). A new one is a file with a subclass, and a line in
:mod:`mlip_engines.diagnostics.registry`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from mlip_engines.diagnostics.result import Result, Section

if TYPE_CHECKING:
    from mlip_engines.diagnostics.case import Case
    from mlip_engines.simulations.engine import Engine
    from mlip_engines.simulations.simulation import Simulation
    from mlip_engines.simulations.trajectory import Trajectory

Ensembles: TypeAlias = tuple[str, ...]  # that an engine has
Results: TypeAlias = dict[str, Result]  # by the name of the diagnostic
Simulations: TypeAlias = "dict[str, Simulation]"  # by a name that the diagnostic chooses
Trajectories: TypeAlias = "dict[str, Trajectory]"  # by the same names


class Diagnostic(ABC):
    """What all kinds have in common; see the three below."""

    name: ClassVar[str]
    """Of its part of the report, of its files, and for ``--only``: a word of letters and underscores."""

    title: ClassVar[str]
    """Of its part of the report."""

    in_quick_look: ClassVar[bool] = True
    """Whether a fraction of a picosecond says anything; if not, ``--quick`` leaves it out unless it is named."""

    after: ClassVar[tuple[str, ...]] = ()
    """Names of diagnostics of the same engine that it builds on; they are run before it, and with it."""

    @abstractmethod
    def render(self, result: Result) -> Section:
        """Return words, tables, figures and warnings; the result may come from disk, where NaN is None."""

    def verdict(self, result: Result, beside: Results) -> str:
        """Return a sentence for the head of the report, the name of the engine left out; empty for none.

        Parameters
        ----------
        result : Result
            Its own.
        beside : dict of str to Result
            All that is known from the same engine, or of the model.
        """
        return ""


class ModelDiagnostic(Diagnostic):
    """A question about a model and a structure; no engine is needed."""

    @abstractmethod
    def evaluations(self, case: Case) -> float:
        """Return roughly what it costs, in full evaluations of the structure."""

    @abstractmethod
    def measure(self, case: Case) -> Result:
        """Return numbers and series."""


class TrajectoryDiagnostic(Diagnostic):
    """A question about trajectories, asked of each engine."""

    @abstractmethod
    def simulations(self, case: Case, ensembles: Ensembles, earlier: Results) -> Simulations:
        """Return the trajectories it needs.

        Parameters
        ----------
        case : Case
        ensembles : tuple of str
            What the engine has; a trajectory of another ensemble must not be asked for.
        earlier : dict of str to Result
            What is known from this engine. Before anything runs the time is estimated, and results of :attr:`after`
            are missing: return a guess then. When trajectories are to be run, all of them are there.

        Returns
        -------
        dict of str to Simulation
            Two diagnostics that ask for the same simulation share its trajectory.
        """

    @abstractmethod
    def measure(self, case: Case, trajectories: Trajectories) -> Result:
        """Return numbers and series of the trajectories it asked for, under the names it gave them."""


class EngineDiagnostic(Diagnostic):
    """A question to an engine itself, such as what a step costs; nothing else runs meanwhile."""

    @abstractmethod
    def evaluations(self, case: Case) -> float:
        """Return roughly what it costs, in full evaluations of the structure."""

    @abstractmethod
    def measure(self, case: Case, engine: Engine) -> Result:
        """Return numbers and series."""
