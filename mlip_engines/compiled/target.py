"""What a compiled library belongs to, and where it is kept.

A library belongs to one version and place of what it was compiled against, and to one state of its sources. Each
combination has a folder of its own, so that an upgrade asks for a new build instead of loading the wrong one, and
going back needs none. A wheel may carry libraries as well: those look for torch beside themselves, so that only
versions and sources have to agree.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

CARRIED_RPATH = (
    "../../torch/lib"  # from mlip_engines/carried, where libraries of a wheel look for torch
)
CARRIED_RECORD = "carried.json"  # {"operators": {"torch": ..., "sources": ...}, "lammps": {...}}


class BuildError(RuntimeError):
    """A library cannot be compiled or used; the message says why and what to do."""


@dataclass(frozen=True)
class Target:
    """What a set of libraries is compiled for.

    Parameters
    ----------
    name : str
        What the libraries are: "operators" or "lammps".
    versions : dict of str to str
        Version of each package that they are compiled against.
    places : str
        Where these packages are, and with which settings the libraries are compiled.
    sources : str
        Hash of the sources.
    libraries : tuple of str
        Names of the files.
    """

    name: str
    versions: dict[str, str]
    places: str
    sources: str
    libraries: tuple[str, ...]

    @property
    def stem(self) -> str:
        """Beginning of the name of the folder: all that it says in words."""
        parts = [f"{package}-{version}" for package, version in self.versions.items()]
        return "-".join(parts if self.name in self.versions else [self.name, *parts])

    @property
    def folder_name(self) -> str:
        """Name of the folder that keeps the libraries."""
        fingerprint = hashlib.sha256(f"{self.places}\0{self.sources}".encode())
        return f"{self.stem}-{fingerprint.hexdigest()[:10]}"


def installed(package: str, requirement: str, *, otherwise: str = "") -> tuple[str, str]:
    """Return version and folder of a package without importing it.

    Raises
    ------
    BuildError
        If there is none, where the message says to install ``requirement``; or if it can be imported but pip does not
        know it, where the message ends with ``otherwise``.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise BuildError(f"{package} is not installed; run: pip install '{requirement}'")
    folder = str(spec.submodule_search_locations[0])
    try:
        return importlib.metadata.version(package), folder
    except importlib.metadata.PackageNotFoundError as e:
        raise BuildError(
            f"{package} is importable from {folder} but not installed as a package{otherwise}"
        ) from e


def hash_of_sources(files: Iterable[Path]) -> str:
    """Return a hash of the names and contents of files.

    Raises
    ------
    BuildError
        If there are none.
    """
    digest = hashlib.sha256()
    files = sorted(files)
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    if not files:
        raise BuildError("the C++ sources of mlip-engines are missing; reinstall mlip-engines")
    return digest.hexdigest()


def sources_in(folder: Path) -> list[Path]:
    """Return the C++ and CMake sources in a folder."""
    is_source = {".cpp", ".h", ".cmake"}
    return [p for p in folder.glob("*") if p.suffix in is_source or p.name == "CMakeLists.txt"]


def roots() -> list[Path]:
    """Return the folders that may keep compiled libraries: of this environment, then of this user."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return [Path(sys.prefix) / "share" / "mlip-engines", Path(cache) / "mlip-engines"]


def writable_root() -> Path:
    """Return the first of the folders in which this process may write; it is made if it is not there."""
    for root in roots():
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(root, os.W_OK):
            return root
    raise BuildError(f"expected a writable folder for compiled libraries, none of {roots()} is one")


def candidates(target: Target) -> Iterator[Path]:
    """Yield the folders of libraries compiled for a target, the first choice first."""
    for root in roots():
        folder = root / target.folder_name
        if all((folder / name).is_file() for name in target.libraries):
            yield folder
    if is_carried(target):
        yield carried_directory()


def find(target: Target) -> Path | None:
    """Return the folder of the libraries compiled for a target, None if there is none."""
    return next(candidates(target), None)


def others(target: Target) -> list[Path]:
    """Return the folders of libraries of this kind that were compiled for anything else."""
    found = [p.parent for r in roots() for p in r.glob(f"{target.name}-*/{target.libraries[0]}")]
    return sorted(folder for folder in found if folder.name != target.folder_name)


def why_missing(target: Target) -> str:
    """Say why no libraries fit a target: what they were compiled for, if there are any."""
    versions = " and ".join(f"{package} {v}" for package, v in target.versions.items())
    stems = {folder.name.rpartition("-")[0] for folder in others(target)}
    if target.stem in stems:
        packages = " and ".join(target.versions)
        return f"compiled from other sources of mlip-engines, or for another place of {packages}"
    if stems:
        return f"not compiled for {versions}, only for other versions ({', '.join(sorted(stems))})"
    return f"not compiled for {versions}"


def carried_directory() -> Path:
    """Return the folder of libraries that a wheel may carry."""
    return Path(__file__).parents[1] / "carried"


def is_carried(target: Target) -> bool:
    """Return whether the wheel carries libraries for these versions and sources, with torch where they look for it.

    They look in the folder in which this package is installed. A torch in another one is left to the compiler.
    """
    folder = carried_directory()
    try:
        record = json.loads((folder / CARRIED_RECORD).read_text())
    except (OSError, ValueError):
        return False
    expected = {**target.versions, "sources": target.sources}
    return (
        record.get(target.name) == expected
        and (folder / CARRIED_RPATH / "libtorch.so").is_file()
        and all((folder / name).is_file() for name in target.libraries)
    )
