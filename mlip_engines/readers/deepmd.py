"""Folders of DeePMD-kit: ``type.raw``, ``type_map.raw`` and arrays in ``set.*/*.npy``.

Units are Å and eV; the virial is -V times the stress in ASE's sign (DeePMD-kit, "System"; dpdata converts to and
from ASE with that sign). A file ``nopbc`` marks structures without periodicity.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from mlip_engines.readers.labelled import with_labels


def is_deepmd(path: Path) -> bool:
    """Return whether a folder, or one below it, holds a system of DeePMD-kit."""
    return path.is_dir() and next(path.rglob("type.raw"), None) is not None


def read_deepmd(path: Path) -> Iterator[Atoms]:
    """Read all systems in a folder and those below it, in the order of their names.

    Yields
    ------
    ase.Atoms
        As of :func:`mlip_engines.readers.labelled.with_labels`; ``info["origin"]`` says from which set and frame.

    Raises
    ------
    ValueError
        If a file is missing, has another shape, or a type is no element.
    """
    for marker in sorted(path.rglob("type.raw")):
        yield from _read_system(marker.parent, path)


def _read_system(folder: Path, root: Path) -> Iterator[Atoms]:
    types = np.loadtxt(folder / "type.raw", dtype=np.int64, ndmin=1).ravel()
    numbers_of_types = _elements(folder)
    is_periodic = not (folder / "nopbc").exists()
    sets = sorted(set_ for set_ in folder.glob("set.*") if set_.is_dir())
    if not sets:
        raise ValueError(
            f"{folder}: expected arrays in set.*/coord.npy, got no set.*; dpdata converts *.raw"
        )
    for set_ in sets:
        name = set_.relative_to(root)
        positions = _array(set_, "coord", None, len(types) * 3).reshape(-1, len(types), 3)
        n_frames = len(positions)
        cells = _array(set_, "box", n_frames, 9) if is_periodic else None
        energies = _array(set_, "energy", n_frames, 1, is_optional=True)
        forces = _array(set_, "force", n_frames, len(types) * 3, is_optional=True)
        virials = _array(set_, "virial", n_frames, 9, is_optional=True)
        frame_types = np.broadcast_to(types, (n_frames, len(types)))
        # The mixed format: type.raw is a placeholder, every frame has its own types, -1 fills up.
        if (set_ / "real_atom_types.npy").is_file():
            frame_types = _array(set_, "real_atom_types", n_frames, len(types)).astype(np.int64)
        for k in range(n_frames):
            is_real = frame_types[k] >= 0
            if frame_types[k].max(initial=-1) >= len(numbers_of_types):
                raise ValueError(
                    f"{set_}: frame {k}: expected types below {len(numbers_of_types)}, the number of names "
                    f"in type_map.raw, got {frame_types[k].max()}"
                )
            atoms = Atoms(numbers_of_types[frame_types[k][is_real]], positions[k][is_real])
            atoms.info["origin"] = f"{name}, frame {k}"
            stress = None
            if cells is not None:
                atoms.cell, atoms.pbc = cells[k].reshape(3, 3), True
                if virials is not None:
                    stress = -virials[k].reshape(3, 3) / atoms.get_volume()
            yield with_labels(
                atoms,
                energy=None if energies is None else energies[k],
                forces=None if forces is None else forces[k].reshape(-1, 3)[is_real],
                stress=stress,
            )


def _elements(folder: Path) -> np.ndarray:
    """Return the atomic number of each type."""
    path = folder / "type_map.raw"
    if not path.is_file():
        raise ValueError(
            f"{folder}: expected type_map.raw, got types without names; write the element of each type into it, "
            "one a line"
        )
    names = path.read_text().split()
    unknown = [name for name in names if atomic_numbers.get(name, 0) == 0]
    if unknown:
        raise ValueError(f"{path}: expected elements, got {unknown}")
    return np.array([atomic_numbers[name] for name in names])


def _array(
    folder: Path, name: str, n_frames: int | None, width: int, *, is_optional: bool = False
) -> np.ndarray | None:
    """Return an array of shape (number of frames, width), None if it may be missing and is."""
    path = folder / f"{name}.npy"
    if not path.is_file():
        if is_optional:
            return None
        hint = "; a file 'nopbc' beside type.raw marks an open system" if name == "box" else ""
        raise ValueError(f"{folder}: expected {path.name}, found none{hint}")
    array = np.load(path, allow_pickle=False).astype(np.float64)
    n_values = array.size
    if n_values != (len(array) if n_frames is None else n_frames) * width:
        frames = "" if n_frames is None else f"{n_frames} frames of "
        raise ValueError(f"{path}: expected {frames}{width} values, got shape {array.shape}")
    return array.reshape(-1, width)
