"""What an acceleration is asked for, and what of it cannot be served."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from mlip_engines.model.load import LoadedModel
from mlip_engines.simulations.pace import Limits
from mlip_train.acceleration.inner import check_inner

# Steps of C that conserve energy well, fs, by the lightest atom: for bonds to hydrogen, between light atoms, for others
_STEPS = ((1, 0.5), (10, 1.0), (118, 2.0))


@dataclass(frozen=True)
class Request:
    """What an acceleration is asked for.

    Parameters
    ----------
    model : LoadedModel
    structures : list of ase.Atoms
        Where simulations may start. Speed and drift are measured on the first.
    temperatures_K : tuple of float
    minutes : float
        After which no new round begins.
    limits : Limits
        Of energy drift and fluctuation.
    step_fs : float
        The inner step to begin with; 0 chooses one by the lightest atom.
    inner : LoadedModel, optional
        Its non-conservative forces are the inner force to begin with; its network is trained on.
    pressures_bar : tuple of float
        Simulations that sample keep these pressures, for each temperature; constant volume if there are none.
    seed : int
        Of velocities, noise and training.

    Raises
    ------
    ValueError
        If something of it cannot be served; the message says what.
    """

    model: LoadedModel
    structures: list[Atoms]
    temperatures_K: tuple[float, ...] = (300.0,)
    minutes: float = 60.0
    limits: Limits = field(default_factory=Limits)
    step_fs: float = 0.0
    seed: int = 1
    pressures_bar: tuple[float, ...] = ()
    inner: LoadedModel | None = None

    def __post_init__(self):
        if not self.structures:
            raise ValueError("expected at least one structure to start from, got none")
        if not self.temperatures_K or not all(0 < t < math.inf for t in self.temperatures_K):
            raise ValueError(f"temperatures must be positive, got {list(self.temperatures_K)} K")
        if not 0.0 < self.minutes < math.inf:
            raise ValueError(f"minutes must be positive, got {self.minutes}")
        if not 0.0 <= self.step_fs < math.inf:
            raise ValueError(f"the step must not be negative, got {self.step_fs} fs")
        if not all(math.isfinite(p) for p in self.pressures_bar):
            raise ValueError(f"pressures must be finite, got {list(self.pressures_bar)} bar")
        for k, atoms in enumerate(self.structures):
            self._check(k, atoms)
        if self.inner is not None:
            check_inner(self.inner, self.model, self.symbols)

    def _check(self, k: int, atoms: Atoms) -> None:
        try:
            self.model.check_elements(set(atoms.get_chemical_symbols()))
        except ValueError as e:
            raise ValueError(f"structure {k}: {e}") from e
        if atoms.pbc.any() and not atoms.pbc.all():
            raise ValueError(
                f"structure {k}: expected one that is periodic in all directions or in none, got pbc {atoms.pbc}; give "
                "a slab a cell with vacuum and full periodicity"
            )
        if self.pressures_bar and not atoms.pbc.all():
            raise ValueError(
                f"structure {k}: expected a periodic cell, which a pressure can change, got none; leave out --pressure"
            )
        if len(atoms) < 2:
            raise ValueError(
                f"structure {k}: expected at least two atoms, which can move against each other, got {len(atoms)}"
            )

    @property
    def inner_step_fs(self) -> float:
        """The inner step to begin with."""
        if self.step_fs > 0.0:
            return self.step_fs
        lightest = min(int(atoms.numbers.min()) for atoms in self.structures)
        return next(step for number, step in _STEPS if lightest <= number)

    @property
    def symbols(self) -> list[str]:
        """The elements of the structures, by atomic number."""
        found = {symbol for atoms in self.structures for symbol in atoms.get_chemical_symbols()}
        return sorted(found, key=atomic_numbers.__getitem__)

    @property
    def hottest_K(self) -> float:
        """The temperature at which speed and drift are measured."""
        return max(self.temperatures_K)

    def as_dict(self) -> dict[str, Any]:
        """Return what decides the results, in plain values: a folder belongs to one request. Time may be added."""
        digest = hashlib.sha256()
        for atoms in self.structures:
            for values in (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc):
                digest.update(np.ascontiguousarray(values).tobytes())
        return {
            "model": self.model.metadata.checksum,
            "structures": digest.hexdigest(),
            "temperatures_K": list(self.temperatures_K),
            "drift_limit": self.limits.drift_meV_per_atom_per_ps,
            "fluctuation_limit": self.limits.fluctuation_meV_per_atom,
            "step_fs": self.inner_step_fs,
            "seed": self.seed,
            **({"pressures_bar": list(self.pressures_bar)} if self.pressures_bar else {}),
            **({"inner": self.inner.metadata.checksum} if self.inner is not None else {}),
        }
