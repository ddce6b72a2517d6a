"""The file ``input.data`` of n2p2 and RuNNer.

Blocks from ``begin`` to ``end``, in between one line a lattice vector, one an atom, and ``energy``, ``charge`` and
``comment`` (n2p2, "Configuration file format", compphysvienna.github.io/n2p2/topics/cfg_file.html). RuNNer 2 may
name the columns of the atoms after ``begin``. The file does not state its units.

ASE's own reader takes the word "begin" in a comment for a new structure, and older versions of ASE have none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.units import Bohr, Hartree

from mlip_engines.readers.compression import open_maybe_compressed
from mlip_engines.readers.labelled import with_labels

# Å and eV in the units of the file.
UNITS = {"metal": (1.0, 1.0), "atomic": (Bohr, Hartree)}

_COLUMNS = ["position(3)", "element", "charge", "energy", "force(3)"]
_IGNORED = {"comment", "charge"}


def is_n2p2(path: Path) -> bool:
    """Return whether a file, compressed or not, begins like ``input.data``, whatever its name."""
    if path.is_dir():
        return False
    with open_maybe_compressed(path) as file:
        head = file.read(65536)
    for line in head.splitlines():
        words = line.split()
        if words and not words[0].startswith((b"#", b"!", b"comment")):
            return words[0] == b"begin"
    return False


def read_n2p2(path: Path, units: str) -> Iterator[Atoms]:
    """Read ``input.data``; a structure without ``lattice`` is not periodic.

    Parameters
    ----------
    path : Path
    units : str
        Of the file: ``"metal"`` (Å, eV) or ``"atomic"`` (bohr, hartree).

    Yields
    ------
    ase.Atoms
        As of :func:`mlip_engines.readers.labelled.with_labels`; the format has no stress.

    Raises
    ------
    ValueError
        If a line cannot be right; the message names it by its number.
    """
    length, energy = UNITS[units]
    block: _Block | None = None
    number = 0
    with open(path) as file:
        for number, line in enumerate(file, start=1):
            words = line.split()
            if not words or words[0].startswith(("#", "!")):
                continue
            try:
                if words[0] == "begin":
                    if block is not None:
                        raise ValueError("expected 'end' before the next 'begin'")
                    block = _Block(words[1:] or _COLUMNS)
                elif block is None:
                    if words[0] not in _IGNORED:
                        raise ValueError(f"expected 'begin', got {words[0]!r}")
                elif words[0] == "end":
                    yield block.atoms(length, energy)
                    block = None
                else:
                    block.add(words)
            except ValueError as e:
                raise ValueError(f"line {number}: {e}") from e
    if block is not None:
        raise ValueError(f"line {number}: expected 'end', got the end of the file; it is cut off")


class _Block:
    """The lines of one structure."""

    def __init__(self, columns: list[str]):
        self.slices: dict[str, slice] = {}
        self.n_columns = 0
        for column in columns:
            match = re.fullmatch(r"([\w-]+?)s?(?:\((\d+)\))?", column)
            if match is None:
                raise ValueError(f"expected columns like 'position(3)', got {column!r}")
            name, width = match[1], int(match[2] or 1)
            self.slices[name] = slice(self.n_columns, self.n_columns + width)
            self.n_columns += width
        for name in ("position", "element"):
            if name not in self.slices:
                raise ValueError(f"expected a column {name!r}, got {columns}")
        self.rows: list[list[str]] = []
        self.lattice: list[list[float]] = []
        self.energy: float | None = None

    def add(self, words: list[str]) -> None:
        name, values = words[0], words[1:]
        if name == "atom":
            if len(values) != self.n_columns:
                raise ValueError(f"expected {self.n_columns} values of an atom, got {len(values)}")
            self.rows.append(values)
        elif name == "lattice":
            if len(values) != 3 or len(self.lattice) == 3:
                raise ValueError("expected three lattice vectors of three components")
            self.lattice.append([float(value) for value in values])
        elif name == "energy":
            if self.energy is not None or len(values) != 1:
                raise ValueError(f"expected one energy of a structure, got {' '.join(words)!r}")
            self.energy = float(values[0])
        elif name not in _IGNORED:
            raise ValueError(f"expected 'atom', 'lattice', 'energy' or 'end', got {name!r}")

    def atoms(self, length: float, energy: float) -> Atoms:
        if not self.rows:
            raise ValueError("expected at least one atom, got none")
        if len(self.lattice) not in (0, 3):
            raise ValueError(f"expected three lattice vectors or none, got {len(self.lattice)}")
        symbols = [row[self.slices["element"]][0] for row in self.rows]
        unknown = sorted({symbol for symbol in symbols if atomic_numbers.get(symbol, 0) == 0})
        if unknown:
            raise ValueError(f"expected elements, got {unknown}")
        atoms = Atoms(symbols, length * self._column("position"))
        if self.lattice:
            atoms.cell = length * np.array(self.lattice)
            atoms.pbc = True
        has_forces = "force" in self.slices
        return with_labels(
            atoms,
            energy=None if self.energy is None else energy * self.energy,
            forces=energy / length * self._column("force") if has_forces else None,
        )

    def _column(self, name: str) -> np.ndarray:
        return np.array([row[self.slices[name]] for row in self.rows], dtype=np.float64)
