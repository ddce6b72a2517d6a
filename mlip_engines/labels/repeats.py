"""Structures that repeat an earlier one, and repeats whose labels disagree with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from ase import Atoms

from mlip_engines.model.structure_inputs import numbers_from_info

# Between runs of one method on one geometry, energies differ by the convergence of the calculation.
LARGEST_DISAGREEMENT = 1e-3  # eV per atom


def geometry_key(atoms: Atoms) -> bytes:
    """Return what two structures share if they are the same but for their labels.

    That is: elements, order, positions (to 1e-5 Å), cell, periodicity, total charge and spin multiplicity.
    """
    parts = atoms.numbers, atoms.positions.round(5) + 0.0, atoms.cell.array.round(5) + 0.0
    known = {"total_charge": 0.0, "spin_multiplicity": 1.0, **numbers_from_info(atoms.info)}
    state = np.array(list(known.values()), dtype=np.float64) + 0.0
    return hashlib.sha256(b"".join(part.tobytes() for part in (*parts, atoms.pbc, state))).digest()


class Repeats:
    """Equal geometries with different energies, found while structures pass by."""

    def __init__(self) -> None:
        self._first: dict[bytes, tuple[int, float]] = {}  # index, eV
        self._disagreeing: list[tuple[float, int, int, float]] = []  # eV per atom, indices, eV

    def see(self, index: int, atoms: Atoms) -> None:
        """Take note of a structure; one without an energy is passed over."""
        if atoms.calc is None or "energy" not in atoms.calc.results:
            return
        energy = float(atoms.calc.results["energy"])
        first, before = self._first.setdefault(geometry_key(atoms), (index, energy))
        difference = abs(energy - before)
        if difference > LARGEST_DISAGREEMENT * len(atoms):
            self._disagreeing.append((difference / len(atoms), first, index, difference))

    def warnings(self) -> Iterator[str]:
        """Yield a sentence if equal geometries have different energies."""
        if not self._disagreeing:
            return
        _, one, two, difference = max(self._disagreeing, key=lambda found: found[0])
        n_others = len(self._disagreeing) - 1
        others = f" (and so do {n_others} more such pairs)" if n_others else ""
        yield (
            f"structures {one} and {two} have the same geometry and energies that differ by {difference:.4g} eV"
            f"{others}; a training takes the first of equal geometries and drops the rest: remove those that are not "
            "meant, such as those of another method or charge"
        )
