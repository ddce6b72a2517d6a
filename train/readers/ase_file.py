"""Extended XYZ and whatever else ASE reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ase.io
from ase import Atoms
from ase.io.formats import UnknownFileTypeError

from train.readers.labelled import with_labels


def read_ase_file(path: Path) -> Iterator[Atoms]:
    """Read a file with ``ase.io``.

    Yields
    ------
    ase.Atoms
        As of :func:`train.readers.labelled.with_labels`.

    Raises
    ------
    ValueError
        If ASE does not know the format.
    """
    try:
        # An @ is a character like any other: without the last argument ASE takes it for an index.
        for atoms in ase.io.iread(str(path), index=":", do_not_split_by_at_sign=True):
            labels = {} if atoms.calc is None else atoms.calc.results
            yield with_labels(
                atoms, **{name: labels.get(name) for name in ("energy", "forces", "stress")}
            )
    except UnknownFileTypeError as e:
        raise ValueError(
            "the format is not recognised; expected extended XYZ (.xyz, .extxyz) or another format of ASE, an ASE "
            "database (.db), input.data of n2p2 or RuNNer, or a folder with type.raw of DeePMD"
        ) from e
