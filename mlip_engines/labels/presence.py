"""Labels that a structure must have: an energy and forces, all of them finite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
from ase import Atoms

from mlip_engines.labels.places import place


def checked_presence(
    structures: Iterable[Atoms], source: str | Path, indices: Iterable[int] | None = None
) -> Iterator[Atoms]:
    """Yield structures as they come; refuse the first that lacks a label or has one that is not finite.

    Parameters
    ----------
    structures : iterable of ase.Atoms
    source : str or Path
        The file, for messages.
    indices : iterable of int, optional
        What to call the structures in messages; by default they are counted.

    Raises
    ------
    ValueError
        If a structure has no energy or no forces, or a label is not finite.
    """
    names = count() if indices is None else indices
    for k, atoms in zip(names, structures, strict=False):
        _check_presence(atoms, place(atoms, k, source))
        yield atoms


def _check_presence(atoms: Atoms, where: str) -> None:
    labels = {} if atoms.calc is None else atoms.calc.results
    for name, unit in (("energy", "eV"), ("forces", "eV/Å")):
        if name not in labels:
            found = sorted({*labels, *atoms.info, *atoms.arrays} - {"numbers", "positions"})
            raise ValueError(
                f"{where}: expected a label {name!r} in {unit}, got {found}; "
                "in extended XYZ the labels are energy=... and a column forces:R:3"
            )
    for name, values in labels.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{where}: {name} is not finite; remove the frame")
