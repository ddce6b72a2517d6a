"""What linear theory says of an inner force before anything is simulated with it; see `properties.linear_theory`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import Atoms

from mlip_engines.model.load import LoadedModel
from mlip_engines.properties.linear_theory import BathedRespa, linear_molecules, sampling
from mlip_engines.simulations.pace_search import INNER_STEPS
from mlip_engines.simulations.simulation import Forces

EVALUATIONS_PER_ATOM = 24.0
FEWEST_ATOMS, MOST_ATOMS = 3, 30  # whose wells are looked at
FRICTION = 2.0  # 1/ps, as thermostats of everyday use have it
LIMIT = 0.02  # of the temperature of positions


@dataclass(frozen=True)
class Row:
    """What one outer step samples.

    Parameters
    ----------
    inner_steps : int
    is_stable : bool
    configurational : dict of str to float
        Temperature of the positions of each element over that of the bath; NaN if unstable.
    """

    inner_steps: int
    is_stable: bool
    configurational: dict[str, float]


@dataclass(frozen=True)
class Theory:
    """Harmonic wells of some molecules, or of single atoms of a crystal, under r-RESPA with weak friction.

    Parameters
    ----------
    inner_step_fs : float
    n_atoms : int
        That were looked at.
    rows : list of Row
    """

    inner_step_fs: float
    n_atoms: int
    rows: list[Row]

    def allows(self, forces: Forces, inner_step_fs: float) -> bool:
        """Return whether an outer step is shorter than the first unstable one; longer ones need no simulation."""
        outer = forces.inner_steps * inner_step_fs
        unstable = [r.inner_steps * self.inner_step_fs for r in self.rows if not r.is_stable]
        return not unstable or outer < min(unstable)

    @property
    def longest_fs(self) -> float | None:
        """The longest outer step that, with all shorter ones, samples positions within the limit; None if none does."""
        best = None
        for row in self.rows:
            if not all(abs(t - 1.0) <= LIMIT for t in row.configurational.values()):
                break  # NaN is beyond any limit
            best = row.inner_steps * self.inner_step_fs
        return best

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, without those of unstable steps, which JSON cannot hold."""
        values = asdict(self)
        for row in values["rows"]:
            if not row["is_stable"]:
                row["configurational"] = dict.fromkeys(row["configurational"])
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Theory:
        """Make what :meth:`as_dict` returned plain."""
        rows = [
            Row(
                row["inner_steps"],
                row["is_stable"],
                {
                    element: np.nan if ratio is None else ratio
                    for element, ratio in row["configurational"].items()
                },
            )
            for row in values["rows"]
        ]
        return cls(values["inner_step_fs"], values["n_atoms"], rows)


def linear_theory(
    model: LoadedModel, atoms: Atoms, inner_step_fs: float, conservative_ms: float, seconds: float
) -> Theory:
    """Follow r-RESPA through harmonic wells, for every M that simulations may try.

    Parameters
    ----------
    model : LoadedModel
        With the inner force.
    atoms : ase.Atoms
        A frame of a simulation.
    inner_step_fs : float
    conservative_ms : float
        What an evaluation takes.
    seconds : float
        For everything; a few atoms are looked at in any case.
    """
    affordable = int(1000.0 * seconds / (EVALUATIONS_PER_ATOM * max(conservative_ms, 1e-3)))
    n_atoms = min(MOST_ATOMS, max(FEWEST_ATOMS, affordable))
    molecules = linear_molecules(model, atoms, n_atoms=n_atoms)
    rows = []
    for m in INNER_STEPS:
        found = sampling(molecules, BathedRespa(inner_step_fs, m, FRICTION))
        rows.append(Row(m, found.largest_eigenvalue < 1.0, found.configurational))
    return Theory(inner_step_fs, sum(len(m.symbols) for m in molecules), rows)
