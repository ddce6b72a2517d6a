"""How far the inner force is from the forces of the energy, where it is known: by element and by structure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import Atoms

from mlip_engines.model.disagreement_limit import OVER_LARGEST
from mlip_engines.model.load import LoadedModel
from mlip_engines.model.neighbors import neighbor_graph
from mlip_engines.units import MEV_PER_EV

# Kinds of structures whose |C - NC| differ by this factor need different inner networks.
UNEQUAL = 3.0


@dataclass(frozen=True)
class Disagreement:
    """|C - NC| on labelled structures.

    Parameters
    ----------
    rms_meV_per_angstrom : float
        Root mean square of a component.
    by_element : dict of str to float
        Likewise.
    by_start : dict of str to float
        Likewise, by the index of the structure that the simulation began with.
    largest_eV_per_angstrom : float
        Length of the largest difference on an atom.
    forces_meV_per_angstrom : float
        Root mean square of a component of the forces themselves.
    """

    rms_meV_per_angstrom: float
    by_element: dict[str, float]
    by_start: dict[str, float]
    largest_eV_per_angstrom: float
    forces_meV_per_angstrom: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @property
    def warning_limit(self) -> float:
        """What |C - NC| of an atom should not exceed in a simulation, eV/Å."""
        return OVER_LARGEST * self.largest_eV_per_angstrom

    @property
    def unequal_starts(self) -> tuple[str, str] | None:
        """The starts with the largest and the smallest |C - NC|, if one network does not serve both; else None."""
        if len(self.by_start) < 2:
            return None
        worst = max(self.by_start, key=self.by_start.__getitem__)
        best = min(self.by_start, key=self.by_start.__getitem__)
        return (
            (worst, best)
            if self.by_start[worst] > UNEQUAL * max(self.by_start[best], 1e-9)
            else None
        )


def differences(model: LoadedModel, labelled: Sequence[Atoms]) -> list[np.ndarray]:
    """Return NC of the model minus the labels of each structure, (N, 3) each, eV/Å; the energy is not evaluated."""
    inputs = model.metadata.structure_inputs
    found = []
    for atoms in labelled:
        graph = neighbor_graph(atoms, model.metadata.cutoff, inputs)
        predicted = model.non_conservative(graph)["non_conservative_forces"]
        found.append(predicted.numpy() - atoms.get_forces(apply_constraint=False))
    return found


def measure_disagreement(model: LoadedModel, labelled: Sequence[Atoms]) -> Disagreement:
    """Compare the inner force with labels.

    Parameters
    ----------
    model : LoadedModel
        With the inner force.
    labelled : sequence of ase.Atoms
        With forces; ``info["start"]`` says where each comes from, if anything does.
    """
    off = differences(model, labelled)
    elements: dict[str, list[np.ndarray]] = {}
    starts: dict[str, list[np.ndarray]] = {}
    for atoms, difference in zip(labelled, off, strict=True):
        symbols = np.array(atoms.get_chemical_symbols())
        for symbol in sorted(set(symbols)):
            elements.setdefault(str(symbol), []).append(difference[symbols == symbol])
        starts.setdefault(str(atoms.info.get("start", 0)), []).append(difference)
    forces = [atoms.get_forces(apply_constraint=False) for atoms in labelled]
    return Disagreement(
        _rms(off),
        {symbol: _rms(values) for symbol, values in elements.items()},
        {start: _rms(values) for start, values in starts.items()},
        max(float(np.linalg.norm(values, axis=1).max()) for values in off),
        _rms(forces),
    )


def most_different(model: LoadedModel, labelled: Sequence[Atoms], fraction: float) -> list[int]:
    """Return the indices of the structures on which the two forces differ most, a fraction of all."""
    sizes = [float(np.sqrt(np.mean(values**2))) for values in differences(model, labelled)]
    return [int(k) for k in np.argsort(sizes)[::-1][: round(fraction * len(sizes))]]


def _rms(values: list[np.ndarray]) -> float:
    return MEV_PER_EV * float(np.sqrt(np.mean(np.concatenate(values) ** 2)))
