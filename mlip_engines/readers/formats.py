"""Structures from a path of any format."""

from __future__ import annotations

from collections.abc import Generator
from lzma import LZMAError
from pathlib import Path

from ase import Atoms
from tqdm import tqdm

from mlip_engines.readers.compression import decompressed
from mlip_engines.readers.keys import LabelKeys
from mlip_engines.readers.n2p2 import UNITS
from mlip_engines.readers.registry import format_of


def read_structures(
    path: str | Path,
    *,
    units: str = "metal",
    labels: bool = True,
    keys: LabelKeys | None = None,
    progress: bool = True,
) -> list[Atoms]:
    """Read structures from a file or folder whose format its name and first line tell.

    Extended XYZ and other formats of ASE, databases of ASE (``.db``), ``input.data`` of n2p2 and RuNNer, each of
    these also compressed (``.gz``, ``.bz2``, ``.xz``), folders of DeePMD-kit, and LMDB files of trajectories keyed by
    molecule (``.lmdb``). A structure is returned as soon as it can be read; :mod:`mlip_engines.labels.checks` asks
    whether it and its labels can be right.

    Parameters
    ----------
    path : str or Path
    units : str
        Of a format that does not state its own, ``input.data``: ``"metal"`` (Å, eV) or ``"atomic"`` (bohr, hartree).
        Formats that do are not touched by it.
    labels : bool
        Without, whatever labels the structures have are dropped.
    keys : LabelKeys, optional
        Names of labels that are not the usual ones, and the unit of stress.
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    list of ase.Atoms
        Positions and cell in Å. Where there are labels, a ``SinglePointCalculator`` with those of ``energy`` (eV),
        ``forces`` (N, 3) (eV/Å) and ``stress`` (6,) (eV/Å^3, ASE's sign and order) that the file has.
        ``info["origin"]`` names the place in a format that has better names than an index.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ValueError
        If the format is not recognised, the file holds no structure or cannot be read (the message names file and
        index), there are no such units, or no structure has a key.
    """
    return list(iterate_structures(path, units=units, labels=labels, keys=keys, progress=progress))


def iterate_structures(
    path: str | Path,
    *,
    units: str = "metal",
    labels: bool = True,
    keys: LabelKeys | None = None,
    progress: bool = True,
) -> Generator[Atoms, None, None]:
    """Yield structures as :func:`read_structures` returns them, with one in memory at a time.

    Close it (``contextlib.closing``) where reading may end early: the bar stays open until then, and whatever is
    printed stands on its line.
    """
    path = Path(path)
    if units not in UNITS:
        raise ValueError(f"units must be one of {sorted(UNITS)}, got {units!r}")
    if not path.exists():
        raise FileNotFoundError(f"expected a file or folder of structures, found nothing at {path}")
    keys = keys or LabelKeys()
    unseen = keys.named if labels else {}
    with decompressed(path) as plain:
        try:
            frames = format_of(plain).read(plain, units, keys)
        except ValueError as e:
            raise ValueError(e if str(e).startswith(str(plain)) else f"{path}: {e}") from e
        bar = tqdm(desc=f"read {path.name}", disable=not progress, unit="structure")
        n_read, found = 0, []
        with bar:
            while True:
                try:
                    atoms = next(frames, None)
                except Exception as e:  # every format of ASE has errors of its own
                    reason = str(e) if type(e) is ValueError else f"{type(e).__name__}: {e}"
                    raise ValueError(f"{path}: structure {n_read}: {reason}") from e
                if atoms is None:
                    break
                if not labels:
                    atoms.calc = None
                if unseen:
                    unseen = {n: k for n, k in unseen.items() if not _has(atoms, n)}
                    found = found or sorted({*map(str, atoms.info), *atoms.arrays})
                n_read += 1
                bar.update()
                yield atoms
    if n_read == 0:
        raise ValueError(f"{path}: expected at least one structure, got none")
    for name, key in unseen.items():
        raise ValueError(
            f"{path}: expected {key!r}, the {name}, in at least one structure, got none; the first has {found}"
        )


def _has(atoms: Atoms, label: str) -> bool:
    return atoms.calc is not None and label in atoms.calc.results


def has_own_units(path: str | Path) -> bool:
    """Return whether the format of a file states its units, so that they cannot be chosen; False if there is none."""
    path = Path(path)
    try:
        return path.exists() and (path.is_dir() or format_of(path).states_units)
    except (OSError, EOFError, LZMAError):
        return False  # a damaged file; reading it will say so


def check_units(units: str | None, *paths: str | Path) -> None:
    """Refuse units that were given where every file states its own.

    Raises
    ------
    ValueError
        If there are units and no file that needs them.
    """
    if units is not None and all(has_own_units(path) for path in paths):
        raise ValueError(
            f"--units is for input.data of n2p2 and RuNNer; the format of {paths[0]} has units of its own"
        )
