"""How messages name a structure of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms

_SHOWN = 5  # indices in a message


def place(atoms: Atoms, index: int, source: str | Path) -> str:
    """Return file and index of a structure, and its name in a format that has better names than an index."""
    origin = atoms.info.get("origin")
    return f"{source}: structure {index}" + (f" ({origin})" if origin else "")


def listed(indices: np.ndarray) -> str:
    """Return the first of some indices as text, and how many there are."""
    first = ", ".join(str(k) for k in indices[:_SHOWN])
    more = f" and {len(indices) - _SHOWN} more" if len(indices) > _SHOWN else ""
    return f"structures {first}{more}"
