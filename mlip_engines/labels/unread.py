"""What a file says and nothing reads: another energy beside the one that is taken, a charge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from ase import Atoms

from mlip_engines.labels.places import listed

# Smearing of electrons makes a free energy differ a little from the energy without anything being wrong.
LARGEST_DIFFERENCE = {"energy": 1e-3, "forces": 1e-2}  # eV per atom, eV/Å
CHARGES = ("charge", "total_charge", "charge_total", "tot_charge")
SPINS = ("spin", "multiplicity", "spin_multiplicity")
# What may stand beside an energy without being meant as one.
OTHER_THINGS = (
    "weight", "std", "err", "var", "uncert", "per_atom", "kinetic", "formation", "atomization", "interaction",
    "cohesive", "binding", "adsorption", "surface", "max", "undisplaced",
)  # fmt: skip


class Unread:
    """Entries of structures that look like labels but are not read, found while structures pass by."""

    def __init__(self) -> None:
        self._differences: dict[tuple[str, str], float] = {}  # label, key: largest difference
        self._values: dict[str, dict[int, float]] = {}  # of charges and spins: by index

    def see(self, index: int, atoms: Atoms) -> None:
        """Take note of a structure."""
        labels = {} if atoms.calc is None else atoms.calc.results
        for key, value in atoms.info.items():
            name = str(key).lower()
            if name in CHARGES or name in SPINS:
                number = _number(value)
                if number is not None:
                    self._values.setdefault(key, {})[index] = number
            elif _is_other(name, "energy") and "energy" in labels:
                number = _number(value)
                if number is not None:
                    self._differ("energy", key, abs(number - labels["energy"]) / len(atoms))
        for key, values in atoms.arrays.items():
            if _is_other(key.lower(), "forces") and "forces" in labels:
                if values.shape == (len(atoms), 3) and values.dtype.kind == "f":
                    self._differ("forces", key, float(np.abs(values - labels["forces"]).max()))

    def _differ(self, label: str, key: str, difference: float) -> None:
        before = self._differences.get((label, key), 0.0)
        self._differences[label, key] = max(before, difference)

    def warnings(self) -> Iterator[str]:
        """Yield a sentence about each entry whose values matter."""
        for (label, key), difference in sorted(self._differences.items()):
            unit = "eV per atom" if label == "energy" else "eV/Å"
            if difference > LARGEST_DIFFERENCE[label]:
                yield (
                    f"{key} is not read, because there is {label} beside it, from which it differs by up to "
                    f"{difference:.3g} {unit}; the labels are those of {label}: if {key} is meant, call it {label} and "
                    "remove the other"
                )
        for key, values in sorted(self._values.items()):
            if len(set(values.values())) > 1:
                usual = max(set(values.values()), key=list(values.values()).count)
                others = np.array([k for k, value in values.items() if value != usual])
                kind = "charge" if key.lower() in CHARGES else "spin"
                yield (
                    f"{listed(others)} have a {kind} other than {key}={usual:g} of the rest; a network that does not "
                    f"depend on it takes them for the same system, so train on structures of one {kind}"
                )


def _is_other(name: str, label: str) -> bool:
    """Return whether an entry is, by its name, this label under another name."""
    stem = label.rstrip("s")
    if any(word in name for word in OTHER_THINGS):
        return False
    return name != label and (name.endswith((stem, label)) or name.startswith((stem, label)))


def _number(value: Any) -> float | None:
    try:
        number = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return None
    return float(number.reshape(())) if number.size == 1 and np.isfinite(number).all() else None
