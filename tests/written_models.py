"""Model files that are written when a test first asks for them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path


class WrittenModels(Mapping[str, Path]):
    """Files by name.

    Parameters
    ----------
    folder : Path
    names : iterable of str
    write : callable
        Takes a name and the path to write its model to.
    """

    def __init__(self, folder: Path, names: Iterable[str], write: Callable[[str, Path], object]):
        self._folder = folder
        self._names = tuple(names)
        self._write = write

    def __getitem__(self, name: str) -> Path:
        if name not in self._names:
            raise KeyError(f"expected one of {self._names}, got {name!r}")
        path = self._folder / f"{name}.pt"
        if not path.exists():
            self._write(name, path)
        return path

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
