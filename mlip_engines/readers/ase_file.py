"""Extended XYZ and whatever else ASE reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.io.extxyz import XYZError
from ase.io.formats import UnknownFileTypeError

from mlip_engines.readers.keys import LabelKeys
from mlip_engines.readers.labelled import with_labels

VIRIAL_KEYS = ("virial", "virials")  # in the comment line of extended XYZ


def read_ase_file(path: Path, keys: LabelKeys) -> Iterator[Atoms]:
    """Read a file with ``ase.io``; ``keys`` say which of its entries are labels.

    Yields
    ------
    ase.Atoms
        As of :func:`mlip_engines.readers.labelled.with_labels`; stress, where a comment line has none, from
        ``virial=``.

    Raises
    ------
    ValueError
        If ASE does not know the format, or a virial has not nine numbers.
    """
    try:
        # An @ is a character like any other: without the last argument ASE takes it for an index.
        for atoms in ase.io.iread(str(path), index=":", do_not_split_by_at_sign=True):
            labels = {} if atoms.calc is None else atoms.calc.results
            if "free_energy" in labels:  # no label of ours, but a check looks for it
                atoms.info["free_energy"] = labels["free_energy"]
            labels = keys.labels(atoms, labels)
            if labels["stress"] is None and keys.stress is None and atoms.pbc.all():
                labels["stress"] = _stress_of_virial(atoms)
            yield with_labels(atoms, **labels)
    except XYZError as e:
        raise ValueError(f"{e}; is the file cut off, or is the number of atoms wrong?") from e
    except UnknownFileTypeError as e:
        if path.stat().st_size == 0:
            raise ValueError("the file is empty") from e
        raise ValueError(
            "the format is not recognised; expected extended XYZ (.xyz, .extxyz) or another format of ASE, an ASE "
            "database (.db), input.data of n2p2 or RuNNer, a folder with type.raw of DeePMD, or trajectories in LMDB "
            "(.lmdb)"
        ) from e


def _stress_of_virial(atoms: Atoms) -> np.ndarray | None:
    """Return the stress (3, 3) in eV/Å^3 that a comment line gives as a virial, None if it gives none.

    ``virial=`` or ``virials=``, nine numbers in eV, is taken for -dE/d(strain), as LAMMPS, QUIP and DeePMD-kit have it.
    """
    for name in VIRIAL_KEYS:
        if name in atoms.info:
            virial = np.asarray(atoms.info[name], dtype=np.float64)
            if virial.size != 9:
                raise ValueError(f"expected {name} of nine numbers, got {virial.size}")
            return -virial.reshape(3, 3) / atoms.get_volume()
    return None
