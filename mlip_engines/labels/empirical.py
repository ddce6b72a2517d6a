"""Labels of an empirical potential: they say how atoms repel each other, not what a network may be trusted with.

Structures with close pairs that such a potential has labelled teach a network to keep atoms apart. That is no reason to
trust its energies there: where the repulsion of a model file begins is for labels of better methods to say.
"""

from __future__ import annotations

from collections.abc import Iterable

from ase import Atoms

from mlip_engines.model.contract import ModelMetadata

MARK = "empirical_labels"  # in ``atoms.info``


def is_empirical_potential(metadata: ModelMetadata) -> bool:
    """Return whether a model file holds an empirical potential, as its training has recorded."""
    network = metadata.training.get("network") or {}
    # files of version 0.2.0 say no more than the name
    return bool(metadata.training.get("empirical", False)) or network.get("name") == "eam"


def mark_empirical(atoms: Atoms) -> None:
    """Write into a structure that its labels are those of an empirical potential."""
    atoms.info[MARK] = True


def has_empirical_labels(atoms: Atoms) -> bool:
    """Return whether a structure says that its labels are those of an empirical potential."""
    return bool(atoms.info.get(MARK, False))


def without_empirical_labels(structures: Iterable[Atoms]) -> list[int]:
    """Return the indices of the structures whose labels are of something better."""
    return [k for k, atoms in enumerate(structures) if not has_empirical_labels(atoms)]
