"""What a command has been given to read is not what it writes over."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def refuse_to_overwrite(output: Path | None, given: Iterable[Path | str | None]) -> None:
    """Raise if the file that ``-o`` names is one of those that the command reads.

    Parameters
    ----------
    output : Path or None
        File to write; None if there is none.
    given : iterable of (Path, str or None)
        Files to read, or names that may be files. None stands for an option that was not given.

    Raises
    ------
    ValueError
        If both are the same file, by whatever path or link.
    """
    if output is None:
        return
    for file in (Path(name) for name in given if name is not None):
        # what is no file is the name of a shipped model, or a mistake that is named elsewhere
        if file.exists() and (
            output.resolve() == file.resolve() or (output.is_file() and output.samefile(file))
        ):
            raise ValueError(f"-o {output}: this would overwrite {file}; name another file")
