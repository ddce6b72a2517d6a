"""Removing libraries that were compiled for something else than what is installed now."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from mlip_engines.compiled.target import BuildError, Target, others


def remove_unused(target: Target, names: Sequence[str] | None = None) -> list[Path]:
    """Remove libraries of one kind, but never those for the target.

    Parameters
    ----------
    target : Target
        What is installed now.
    names : sequence of str
        Folders, by their names; all unused ones by default.

    Returns
    -------
    list of Path
        The folders that are gone.

    Raises
    ------
    BuildError
        If a name is none of an unused folder; the message lists those. Nothing is removed then.
    """
    unused = others(target)
    known = sorted({folder.name for folder in unused})
    for name in names or ():
        if name not in known:
            listed = ", ".join(known) or "there are none"
            raise BuildError(f"expected the name of an unused build ({listed}), got {name!r}")
    removed = [folder for folder in unused if names is None or folder.name in names]
    for folder in removed:
        shutil.rmtree(folder)
    return removed
