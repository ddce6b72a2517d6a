"""Which data a run was made with, as a number that changes with them."""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_hash(path: str | Path) -> str:
    """Return the sha256 of a file, or of the names and contents in a folder, for the record of the training data."""
    path = Path(path)
    if path.is_file():
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()
    entries = sorted(entry for entry in path.rglob("*") if entry.is_file())
    lines = [f"{file_hash(entry)}  {entry.relative_to(path).as_posix()}\n" for entry in entries]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
