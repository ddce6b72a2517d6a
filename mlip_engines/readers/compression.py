"""Compressed files, as if they were plain ones."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def open_maybe_compressed(path: Path) -> BinaryIO:
    """Open a file for reading bytes; one from the start of a compressed file costs no more than of a plain one."""
    return OPENERS.get(path.suffix.lower(), open)(path, "rb")


@contextmanager
def decompressed(path: Path) -> Iterator[Path]:
    """Give a plain copy of a compressed file for as long as the context lasts; any other path is given as it is.

    Readers look back and forth in a file. In a compressed one every step back decompresses from the start again,
    which takes a time quadratic in its size.

    Raises
    ------
    ValueError
        If the file is damaged or not compressed as its name says.
    """
    opener = OPENERS.get(path.suffix.lower())
    if opener is None or path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="mlip-") as folder:
        plain = Path(folder) / path.stem  # with the rest of the name, which tells the format
        try:
            with opener(path, "rb") as source, open(plain, "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except (OSError, EOFError, lzma.LZMAError) as e:
            raise ValueError(
                f"{path}: expected a file compressed as {path.suffix}, got {type(e).__name__}: {e}; "
                "fetch it again or rename it"
            ) from e
        yield plain
