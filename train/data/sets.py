"""The files of a run: structures to divide at random, and those whose part the user has chosen."""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ase import Atoms

from mlip_engines.readers.keys import LabelKeys
from mlip_train.data.files import open_structures
from mlip_train.data.fingerprint import file_hash
from mlip_train.machine.processes import Processes

DIVIDED = ""  # in place of a part: to be divided at random


@dataclass(frozen=True)
class DataFiles:
    """Files or folders of labelled structures, by what is done with them."""

    data: tuple[Path, ...] = ()  # divided at random, or by split=... of each structure
    train: tuple[Path, ...] = ()
    validation: tuple[Path, ...] = ()
    test: tuple[Path, ...] = ()
    units: str | None = None  # of formats that do not state theirs: metal, atomic
    keys: LabelKeys = field(default_factory=LabelKeys)

    @classmethod
    def of(cls, data: str | Path | DataFiles, units: str | None = None) -> DataFiles:
        """Return files as they are, and one path as the file to divide."""
        return data if isinstance(data, DataFiles) else cls((Path(data),), units=units)

    def parts(self) -> Iterator[tuple[str, Path]]:
        """Yield the part and the path of each file, in the order in which structures are counted."""
        for part, paths in (
            (DIVIDED, self.data),
            ("train", self.train),
            ("validation", self.validation),
            ("test", self.test),
        ):
            yield from ((part, path) for path in paths)

    def paths(self) -> list[Path]:
        """Return the paths of all files, in this order."""
        return [path for _, path in self.parts()]

    def check(self) -> None:
        """Raise ValueError if there is nothing to train on, or a file is named twice."""
        if not self.data and not self.train:
            raise ValueError("expected structures to train on; name a file with --data or --train")
        seen: dict[Path, str] = {}
        for part, path in self.parts():
            where = path.resolve()
            if where in seen:
                raise ValueError(
                    f"expected each file once, got {path} as {_option(seen[where])} and as {_option(part)}"
                )
            seen[where] = part

    def hash(self) -> str:
        """Return a number that changes with the contents of the files, their parts and the names of labels."""
        if self.paths() == list(self.data[:1]) and self.keys.is_usual:
            return file_hash(self.data[0])
        lines = [f"{part} {file_hash(path)}" for part, path in self.parts()]
        return hashlib.sha256("\n".join([*lines, str(asdict(self.keys))]).encode()).hexdigest()

    def __str__(self) -> str:
        return ", ".join(str(path) for path in self.paths())


def _option(part: str) -> str:
    return {DIVIDED: "--data", "validation": "--valid"}.get(part, f"--{part}")


class OpenedSets(Sequence[Atoms]):
    """The structures of all files as one sequence, read when they are asked for if they are on disk.

    Parameters
    ----------
    files : DataFiles
    sets : list of sequences of ase.Atoms
        The structures of each file, in the order of ``files.parts()``.
    """

    def __init__(self, files: DataFiles, sets: list[Sequence[Atoms]]):
        self.parts, self._sets = list(files.parts()), sets
        self._starts = [sum(len(s) for s in sets[:k]) for k in range(len(sets))]

    def __len__(self) -> int:
        return self._starts[-1] + len(self._sets[-1])

    def __getitem__(self, k: int) -> Atoms:
        n = self._file_of(k)
        return self._sets[n][k - self._starts[n]]

    def _file_of(self, k: int) -> int:
        if not 0 <= k < len(self):
            raise IndexError(f"expected an index from 0 to {len(self) - 1}, got {k}")
        return bisect.bisect_right(self._starts, k) - 1

    def part(self, k: int) -> str:
        """Return the part for which the user gave the file of a structure; empty for one to divide."""
        return self.parts[self._file_of(k)][0]

    def place(self, k: int) -> tuple[Path, int]:
        """Return the file of a structure and its index there."""
        n = self._file_of(k)
        return self.parts[n][1], k - self._starts[n]

    def listing(self) -> list[dict[str, str | int]]:
        """Return what ``files.json`` holds: which of the counted structures are of which file."""
        return [
            {"file": str(path), "given_for": part or "data", "first": start, "count": len(items)}
            for (part, path), start, items in zip(self.parts, self._starts, self._sets, strict=True)
        ]


def open_sets(
    files: DataFiles, processes: Processes, *, group_key: str = "", store: Path | None = None
) -> OpenedSets:
    """Read all files; see :func:`mlip_train.data.files.open_structures` for what is checked.

    Parameters
    ----------
    files : DataFiles
    processes : Processes
    group_key : str
        Key of the data by which structures stay together.
    store : Path, optional
        Folder to keep structures in instead of in memory; further files have folders beside it.
    """
    sets = []
    for n, path in enumerate(files.paths()):
        folder = store if store is None or n == 0 else store.with_name(f"{store.name}_{n}")
        sets.append(
            open_structures(
                path, files.units, processes, keys=files.keys, group_key=group_key, store=folder
            )
        )
    return OpenedSets(files, sets)
