"""Files of structures opened to be looked at, with what may be wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ase import Atoms

from mlip_engines.labels.reading import read_checked
from mlip_train.data.sets import DataFiles, OpenedSets


def open_data(
    files: DataFiles,
) -> tuple[list[Atoms], list[str], Callable[[int], tuple[Path, int]]]:
    """Return the structures of all files, warnings, and a function from an index to file and index in it.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`mlip_engines.labels.reading.read_checked`.
    """
    files.check()
    sets, warnings = [], []
    for path in files.paths():
        structures, found = read_checked(path, units=files.units, keys=files.keys, progress=True)
        sets.append(structures)
        warnings += found
    return [a for each in sets for a in each], warnings, OpenedSets(files, sets).place
