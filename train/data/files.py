"""Files to checked structures, in memory or on disk."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from ase import Atoms

from mlip_engines.labels.checks import checked, doubts
from mlip_engines.labels.reading import read_checked
from mlip_engines.labels.watch import Watch
from mlip_engines.readers import iterate_structures
from mlip_engines.readers.keys import LabelKeys
from mlip_train.data.fingerprint import file_hash
from mlip_train.data.store import StructureStore
from mlip_train.data.tags import grouped
from mlip_train.machine.processes import Processes

# Statistics of labels are taken from so many structures of a set on disk.
SAMPLE = 2000


def open_structures(
    path: str | Path,
    units: str | None,
    processes: Processes,
    *,
    labels: bool = True,
    keys: LabelKeys | None = None,
    group_key: str = "",
    store: Path | None = None,
) -> Sequence[Atoms]:
    """Read structures; refuse those that cannot be right, warn on standard error of what may be wrong.

    Parameters
    ----------
    path : str or Path
    units : {"metal", "atomic"} or None
        Of files that do not state theirs; None for ``metal``, provided that the distances agree.
    processes : Processes
        The first one writes the store and the warnings.
    labels : bool
        Whether labels are wanted; without, they are dropped.
    keys : LabelKeys, optional
        Names of labels that are not the usual ones, and the unit of stress.
    group_key : str
        Key whose value becomes the group of a structure.
    store : Path, optional
        Folder to keep the structures in, instead of in memory. If it holds those of the same file it is used as it is.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`mlip_engines.readers.read_structures`, :func:`mlip_engines.labels.checks.checked` and
        :func:`mlip_engines.labels.checks.doubts`.
    """
    is_first = processes.is_first
    structures: Sequence[Atoms]
    if store is None:
        structures, warnings = read_checked(
            path, units=units, keys=keys, labels=labels, progress=is_first
        )
        structures = list(grouped(structures, group_key))
    else:
        frames = iterate_structures(
            path, units=units or "metal", labels=labels, keys=keys, progress=is_first
        )
        watch = Watch(path)  # of a store that is there already it has nothing to say
        source = f"{file_hash(path)} {units or 'metal'} {labels} {keys} {group_key}"
        with closing(frames):  # and its bar, before an error is printed
            if is_first and not _holds(store, source):
                frames_seen = watch.through(checked(frames, path, labels=labels))
                StructureStore.write(store, grouped(frames_seen, group_key), source)
        processes.wait()
        structures = StructureStore(store)
        starts = np.linspace(0, len(structures) - 1, min(len(structures), SAMPLE // 2)).astype(int)
        # In pairs: some checks compare neighbours in a trajectory.
        sample = sorted({k for s in starts.tolist() for k in (s, min(s + 1, len(structures) - 1))})
        looked_at = [structures[k] for k in sample]
        seen = watch.warnings() if labels else []
        warnings = [*seen, *doubts(looked_at, path, units, sample, labels=labels)]
    for warning in warnings if is_first else []:
        print(f"mlip-train: warning: {warning}", file=sys.stderr)
    return structures


def _holds(store: Path, source: str) -> bool:
    try:
        return StructureStore(store).description["source"] == source
    except (FileNotFoundError, ValueError, KeyError):
        return False  # of another file, or damaged: written anew
