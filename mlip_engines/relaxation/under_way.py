"""Structures in the middle of their relaxation, as a file from which it goes on."""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_OPTIMISER = "optimiser_"
# What numpy and zipfile raise for files that are cut short or have wrong bytes.
_DAMAGED = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)
_OWN = ("index", "steps", "energy_before", "counts", "coordinates")


@dataclass(frozen=True)
class UnderWay:
    """Where S structures with R rows of coordinates are, and what their optimisers remember.

    Parameters
    ----------
    index : (S,) int array
        Their places among the structures that were given.
    steps : (S,) int array
        How many they have taken.
    energy_before : (S,) array, eV
    counts : (S,) int array
        Rows of each.
    coordinates : (R, 3) array, Å
    optimiser : dict of str to array
        As :meth:`mlip_engines.relaxation.optimiser.Optimiser.state`.
    """

    index: NDArray[np.int64]
    steps: NDArray[np.int64]
    energy_before: NDArray[np.float64]
    counts: NDArray[np.int64]
    coordinates: NDArray[np.float64]
    optimiser: dict[str, NDArray]

    def write(self, path: Path) -> None:
        """Write the file, as a whole or not at all."""
        arrays = {
            **{name: getattr(self, name) for name in _OWN},
            **{_OPTIMISER + name: value for name, value in self.optimiser.items()},
        }
        draft = path.with_name(path.name + ".partial")
        with draft.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())  # or a power cut may leave an empty file of this name
        os.replace(draft, path)

    @classmethod
    def read(cls, path: Path) -> UnderWay | None:
        """Return what is in a file; None if it cannot be read, in which case structures begin anew."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                arrays = dict(kept)
            own = {name: arrays.pop(name) for name in _OWN}
        except _DAMAGED:
            return None
        optimiser = {name.removeprefix(_OPTIMISER): value for name, value in arrays.items()}
        return cls(**own, optimiser=optimiser)
