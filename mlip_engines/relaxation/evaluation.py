"""Energies, forces and virials of many structures that stay where they are, evaluated in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlip_engines.model.load import LoadedModel
from mlip_engines.relaxation.batch import Batch
from mlip_engines.relaxation.member import Member


class Evaluated(NamedTuple):
    """What a model gives for one structure."""

    energy: float  # eV; NaN with non-conservative forces
    forces: NDArray[np.float64]  # (N, 3) eV/Å
    virial: NDArray[np.float64]  # (3, 3) eV, -dE/d(strain); zeros if it was not asked for


def evaluate_each(
    model: LoadedModel,
    structures: Iterable[Atoms],
    *,
    forces: str = "conservative",
    with_virials: bool = False,
    max_edges: int = 20_000,
) -> Iterator[Evaluated]:
    """Evaluate structures in batches and yield the results in their order.

    Parameters
    ----------
    model : LoadedModel
    structures : iterable of ase.Atoms
    forces : {"conservative", "non_conservative"}
    with_virials : bool
    max_edges : int
        Structures are evaluated together as long as they have at most so many edges; one with more goes alone.

    Raises
    ------
    ValueError
        If the model does not know an element, or a structure cannot be evaluated.
    """
    batch = Batch(model, forces, with_virials=with_virials)
    group: list[Member] = []
    for k, atoms in enumerate(structures):
        model.check_elements(set(atoms.get_chemical_symbols()))
        member = Member(k, atoms, model, model.metadata.cutoff, with_cell=False)
        if group and sum(each.n_edges for each in group) + member.n_edges > max_edges:
            yield from _evaluated(batch, group)
            group = []
        group.append(member)
    if group:
        yield from _evaluated(batch, group)


def _evaluated(batch: Batch, group: list[Member]) -> Iterator[Evaluated]:
    batch.change(group)
    found = batch.evaluate(
        np.concatenate([member.positions for member in group]),
        np.array([member.first_cell for member in group]),
    )
    forces = np.split(found.forces, batch.atoms.starts[1:])
    for k, member in enumerate(group):
        has_energy = batch.kind == "non_conservative" or np.isfinite(found.energies[k])
        if not (has_energy and np.isfinite(forces[k]).all()):
            raise ValueError(
                f"structure {member.index}: energy or forces are not finite; start from a structure without atoms on "
                "top of each other"
            )
        yield Evaluated(float(found.energies[k]), forces[k], found.virials[k])
