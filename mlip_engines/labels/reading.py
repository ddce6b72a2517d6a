"""Checked structures from a file in any format that the readers know."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from itertools import count, islice
from pathlib import Path

from ase import Atoms
from ase.io.formats import string2index

from mlip_engines.labels.checks import checked, doubts
from mlip_engines.labels.watch import Watch
from mlip_engines.readers import check_units, iterate_structures
from mlip_engines.readers.keys import LabelKeys

INDEX = "index_in_file"


def read_checked(
    path: str | Path,
    index: str = ":",
    *,
    units: str | None = None,
    keys: LabelKeys | None = None,
    labels: bool = True,
    progress: bool = False,
) -> tuple[list[Atoms], list[str]]:
    """Read structures; refuse those that cannot be right, and say what may be wrong with the others.

    Parameters
    ----------
    path : str or Path
        A file or folder of any format that :func:`mlip_engines.readers.read_structures` reads.
    index : str
        As in ASE: ``":"`` all, ``"-1"`` the last, ``"::10"`` every tenth. Only these are checked.
    units : {"metal", "atomic"}, optional
        Of a format that does not state its own; without, ``metal``, provided that the distances agree.
    keys : LabelKeys, optional
        Names of labels that are not the usual ones, and the unit of stress.
    labels : bool
        Whether each must have an energy or forces. Without, whatever labels there are are dropped.
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    structures : list of ase.Atoms
        ``info[INDEX]`` is their index in the file.
    warnings : list of str
        One sentence each about what may be wrong, see :class:`mlip_engines.labels.watch.Watch` and
        :func:`mlip_engines.labels.checks.doubts`.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ValueError
        If it cannot be read, no structure is chosen, or a structure or label cannot be right.
    """
    check_units(units, path)
    chosen = _as_slice(index)
    reader = iterate_structures(
        path, units=units or "metal", labels=labels, keys=keys, progress=progress
    )
    frames: Iterable[Atoms]
    names: Iterable[int]
    structures, indices = [], []
    watch = Watch(path)
    with closing(reader):  # and its bar, before an error is printed
        if all(bound is None or bound >= 0 for bound in (chosen.start, chosen.stop, chosen.step)):
            names = count(chosen.start or 0, chosen.step or 1)
            frames = islice(reader, chosen.start, chosen.stop, chosen.step)
        else:  # counted from the end
            frames = list(reader)
            names = range(len(frames))[chosen]
            frames = frames[chosen]
        for k, atoms in zip(names, frames, strict=False):
            structures += watch.through(checked([atoms], path, [k], labels=labels), [k])
            structures[-1].info[INDEX] = k
            indices.append(k)
    if not structures:
        raise ValueError(f"{path}: expected at least one structure in {index!r}, got none")
    seen = watch.warnings() if labels else []
    return structures, [*seen, *doubts(structures, path, units, indices, labels=labels)]


def _as_slice(index: str) -> slice:
    try:
        chosen = string2index(index)
        return chosen if isinstance(chosen, slice) else slice(chosen, chosen + 1 or None)
    except (TypeError, ValueError) as e:  # ASE leaves a word as it is
        raise ValueError(
            f"expected an index as in ASE, such as -1, 5: or ::10, got {index!r}"
        ) from e
