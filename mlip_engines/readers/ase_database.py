"""Databases of ASE, ``.db``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from sqlite3 import DatabaseError

import ase.db
from ase import Atoms

from mlip_engines.readers.keys import LabelKeys
from mlip_engines.readers.labelled import with_labels


def read_ase_database(path: Path, keys: LabelKeys) -> Iterator[Atoms]:
    """Read the rows of an ASE database in SQLite in the order of their ids; ``keys`` say which entries are labels.

    Yields
    ------
    ase.Atoms
        As of :func:`mlip_engines.readers.labelled.with_labels`; ``info["origin"]`` says which row.

    Raises
    ------
    ValueError
        If the file is no database of ASE.
    """
    try:
        with ase.db.connect(path, type="db", use_lock_file=False) as database:
            for row in database.select(sort="id"):
                atoms = row.toatoms()
                atoms.info["origin"] = f"row {row.id}"
                atoms.info.update(row.key_value_pairs)
                known = {name: row.get(name) for name in ("energy", "forces", "stress")}
                of_data = {name: row.data[name] for name in keys.named.values() if name in row.data}
                yield with_labels(atoms, **keys.labels(atoms, {**of_data, **known}))
    except DatabaseError as e:
        raise ValueError(f"expected a database of ASE, got a file that is none ({e})") from e
