"""LMDB files of relaxation trajectories keyed by molecule, as PubChemQCR has them.

A key is a molecule; its value is a compressed (gzip) pickle of ``{level: [step, ...]}``, each step with ``coordinates``
(a list of ``{"atom", "x", "y", "z"}``, Å), ``energy`` (hartree) and ``gradient`` (a list of ``{"dx", "dy", "dz"}``,
hartree/bohr, minus the force). This is the layout in the description of PubChemQCR (Fu et al., arXiv:2506.23008);
its units are those of the programs that wrote the logs.

A pickle is a program. Here it may build dictionaries, lists, text and numbers, and nothing else.
"""

from __future__ import annotations

import gzip
import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import Bohr, Hartree

from mlip_engines.readers.labelled import with_labels

# Levels of theory are not to be mixed: of these, the first that a molecule of the file has, for all of its molecules.
# The last stage of PubChemQCR, the only one of its small version, and what benchmarks/relaxation_paths.py writes.
LEVELS = ("DFT_2nd", "DFT_1st", "GFN2-xTB")


def read_lmdb(path: Path) -> Iterator[Atoms]:
    """Read the steps of all molecules in the order of their keys, of one of :data:`LEVELS`.

    Molecules that were not relaxed with the level of the file are left out.

    Yields
    ------
    ase.Atoms
        As of :func:`mlip_engines.readers.labelled.with_labels`; ``info["origin"]`` names molecule and step.

    Raises
    ------
    ValueError
        If the package lmdb is missing, the file is no LMDB, or a value has another layout.
    """
    try:
        import lmdb
    except ImportError as e:
        raise ValueError(
            "reading LMDB needs the package lmdb; pip install 'mlip-engines[lmdb]'"
        ) from e
    try:
        environment = lmdb.open(str(path), readonly=True, lock=False, subdir=path.is_dir())
    except lmdb.Error as e:
        raise ValueError(f"expected an LMDB file, got one that cannot be opened: {e}") from e
    with environment, environment.begin() as transaction:
        level = None
        for key, value in transaction.cursor():
            molecule = key.decode(errors="replace")
            levels = _levels(molecule, value)
            level = level or next((name for name in LEVELS if levels.get(name)), None)
            for k, step in enumerate(levels.get(level) or []):
                try:
                    atoms = _structure(step)
                except (KeyError, TypeError, ValueError) as e:
                    raise ValueError(
                        f"molecule {molecule}, step {k}: expected coordinates, energy and gradient, got "
                        f"{type(e).__name__}: {e}"
                    ) from e
                atoms.info["origin"] = f"molecule {molecule}, step {k}"
                atoms.info["molecule"] = molecule  # so that split_by keeps its steps together
                yield atoms


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(
            f"expected dictionaries, lists, text and numbers, got {module}.{name}"
        )


def _levels(molecule: str, value: bytes) -> dict[str, Any]:
    try:
        levels = _PlainUnpickler(io.BytesIO(gzip.decompress(value))).load()
    except (OSError, EOFError, pickle.UnpicklingError) as e:
        raise ValueError(f"molecule {molecule}: cannot be read: {e}") from e
    if not isinstance(levels, dict):
        raise ValueError(
            f"molecule {molecule}: expected steps by level of theory, got {type(levels).__name__}"
        )
    return levels


def _structure(step: dict[str, Any]) -> Atoms:
    coordinates, gradient = step["coordinates"], step["gradient"]
    atoms = Atoms(
        [atom["atom"] for atom in coordinates],
        [[atom["x"], atom["y"], atom["z"]] for atom in coordinates],
    )
    slopes = np.array([[atom["dx"], atom["dy"], atom["dz"]] for atom in gradient], dtype=float)
    return with_labels(
        atoms, energy=Hartree * float(step["energy"]), forces=-Hartree / Bohr * slopes
    )
