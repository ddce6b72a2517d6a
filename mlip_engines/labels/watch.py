"""What can only be seen while structures are read: entries that nothing reads, and geometries that come again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

from ase import Atoms

from mlip_engines.labels.repeats import Repeats
from mlip_engines.labels.unread import Unread


class Watch:
    """Look at structures as they pass, with one in memory at a time, and say what may be wrong with them together.

    Parameters
    ----------
    source : str or Path
        The file, for messages.
    """

    def __init__(self, source: str | Path):
        self._source = source
        self._watchers = Unread(), Repeats()

    def through(
        self, structures: Iterable[Atoms], indices: Iterable[int] | None = None
    ) -> Iterator[Atoms]:
        """Yield the structures; ``indices`` are what to call them, by default they are counted."""
        for k, atoms in zip(count() if indices is None else indices, structures, strict=False):
            for watcher in self._watchers:
                watcher.see(k, atoms)
            yield atoms

    def warnings(self) -> list[str]:
        """Return one sentence for each thing that may be wrong."""
        return [
            f"{self._source}: {warning}"
            for watcher in self._watchers
            for warning in watcher.warnings()
        ]
