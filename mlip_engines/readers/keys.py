"""Under which names, and in which unit of stress, a file has its labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from mlip_engines.units import EV_PER_CUBIC_ANGSTROM_TO_GPA

# 1 eV/Å^3 in other units; a minus for the sign of a pressure, as VASP prints it.
_GPA = EV_PER_CUBIC_ANGSTROM_TO_GPA
STRESS_UNITS = {
    "eV/A^3": 1.0,
    "GPa": _GPA,
    "kbar": 10.0 * _GPA,
    "-eV/A^3": -1.0,
    "-GPa": -_GPA,
    "-kbar": -10.0 * _GPA,
}
VIRIAL = "virial"  # in place of a unit: -V times the stress, eV


@dataclass(frozen=True)
class LabelKeys:
    """Names of labels; None for the usual ones.

    Parameters
    ----------
    energy, forces, stress : str, optional
        Key of the comment line, column of the atoms, or name in a database. A structure without it has no such label,
        whatever it has under the usual name.
    stress_units : str
        One of :data:`STRESS_UNITS`, or ``"virial"``: minus the volume times the stress, in eV.
    """

    energy: str | None = None
    forces: str | None = None
    stress: str | None = None
    stress_units: str = "eV/A^3"

    @property
    def is_usual(self) -> bool:
        """Whether nothing differs from the usual names and unit."""
        return self == LabelKeys()

    @property
    def named(self) -> dict[str, str]:
        """The keys that were given, by label."""
        given = {"energy": self.energy, "forces": self.forces, "stress": self.stress}
        return {label: key for label, key in given.items() if key is not None}

    def labels(self, atoms: Atoms, known: dict[str, Any]) -> dict[str, Any]:
        """Return ``energy``, ``forces`` and ``stress`` as the keys say, None where there is none.

        Parameters
        ----------
        atoms : ase.Atoms
            With what its file has, in ``info`` and ``arrays``.
        known : dict
            What the file has under the usual names of labels.

        Raises
        ------
        ValueError
            If the unit of stress is unknown, or a virial is of a structure without volume.
        """
        everything = {**atoms.arrays, **atoms.info, **known}
        labels = {name: known.get(name) for name in ("energy", "forces", "stress")}
        labels |= {name: everything.get(key) for name, key in self.named.items()}
        if labels["stress"] is not None:
            labels["stress"] = self._in_ev(np.asarray(labels["stress"], dtype=np.float64), atoms)
        return labels

    def _in_ev(self, stress: np.ndarray, atoms: Atoms) -> np.ndarray:
        if self.stress_units == VIRIAL:
            if not atoms.cell.volume > 0.0:
                raise ValueError("expected a cell of three vectors for a virial, got none")
            return -stress / atoms.cell.volume
        if self.stress_units not in STRESS_UNITS:
            raise ValueError(
                f"stress units must be one of {[*STRESS_UNITS, VIRIAL]}, got {self.stress_units!r}"
            )
        return stress / STRESS_UNITS[self.stress_units]
