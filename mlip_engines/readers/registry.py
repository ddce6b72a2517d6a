"""Every format of structures: what it is called, how a path of it is recognised, and what reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ase import Atoms

    from mlip_engines.readers.keys import LabelKeys


@dataclass(frozen=True)
class StructureFormat:
    """One format; its reader is imported when a file is read, so that the help of a command lists formats at once.

    Parameters
    ----------
    title : str
        As in "expected FILE to be TITLE or TITLE".
    reader : str
        ``"module:function"`` in this folder, a function of a path (and of the units, if the format does not state
        them) that yields structures.
    suffix : str
        Of its files or folders, in lower case; or
    test : str
        ``"module:function"``, a function that returns whether a path is of this format. Without suffix and test, it is
        whatever no other format recognises.
    states_units : bool
        Whether a file says in which units it is.
    is_compressible : bool
        Whether its files may also be compressed.
    has_keys : bool
        Whether labels may have other names than the usual ones; its reader then takes the keys.
    """

    title: str
    reader: str
    suffix: str = ""
    test: str = ""
    states_units: bool = True
    is_compressible: bool = True
    has_keys: bool = False

    def recognises(self, path: Path) -> bool:
        """Return whether a path, which exists, is of this format."""
        if self.suffix:
            return path.suffix.lower() == self.suffix
        return bool(self.test) and bool(_function(self.test)(path))

    def read(self, path: Path, units: str, keys: LabelKeys) -> Iterator[Atoms]:
        """Yield structures; ``units`` are for a format that does not state its own, ``keys`` for one with names.

        Raises
        ------
        ValueError
            If there are keys, and the format has labels under its own names only.
        """
        if not keys.is_usual and not self.has_keys:
            raise ValueError(
                f"the names and units of labels in {self.title} are fixed; keys of labels are for extended XYZ, other "
                "formats of ASE and its databases"
            )
        options = [] if self.states_units else [units]
        return _function(self.reader)(path, *options, *([keys] if self.has_keys else []))


# Asked in this order; the last takes what is left.
FORMATS = (
    StructureFormat(
        "an LMDB file of trajectories",
        reader="lmdb_trajectories:read_lmdb",
        suffix=".lmdb",
        is_compressible=False,
    ),
    StructureFormat(
        "a DeePMD-kit folder",
        reader="deepmd:read_deepmd",
        test="deepmd:is_deepmd",
        is_compressible=False,
    ),
    StructureFormat(
        "an ASE database", reader="ase_database:read_ase_database", suffix=".db", has_keys=True
    ),
    StructureFormat(
        "an input.data of n2p2 or RuNNer",
        reader="n2p2:read_n2p2",
        test="n2p2:is_n2p2",
        states_units=False,
    ),
    StructureFormat(
        "a file in extended XYZ or any other format that ASE reads",
        reader="ase_file:read_ase_file",
        has_keys=True,
    ),
)


def format_of(path: Path) -> StructureFormat:
    """Return the format of a path that exists.

    Raises
    ------
    ValueError
        If it is a folder of no format.
    """
    found = next((each for each in FORMATS if each.recognises(path)), FORMATS[-1])
    if found is FORMATS[-1] and path.is_dir():
        raise ValueError(
            f"{path}: expected a file of structures or a folder of DeePMD-kit, which has a type.raw; got a folder "
            "without"
        )
    return found


def format_titles() -> str:
    """Return all formats as the end of a sentence, for the help of commands."""
    compressible = [each.title for each in reversed(FORMATS) if each.is_compressible]
    others = [each.title for each in reversed(FORMATS) if not each.is_compressible]
    return f"{', '.join(compressible)} (all of these may be compressed), {' or '.join(others)}"


def _function(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    return getattr(import_module(f"mlip_engines.readers.{module}"), function)
