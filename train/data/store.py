"""Structures in flat arrays on disk: written once, then read one at a time, so that memory does not grow with them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from mlip_engines.labels.empirical import has_empirical_labels, mark_empirical
from mlip_engines.labels.weights import OF_LABELS, config_weights
from mlip_engines.model.contract import STRUCTURE_INPUTS
from mlip_engines.model.structure_inputs import numbers_from_info
from mlip_engines.readers.labelled import with_labels
from mlip_train.data.tags import WORDS

# Per structure and per atom: name, type, values. A label that is missing is NaN.
_OF_STRUCTURE = {
    "end": (np.int64, 1),  # one after its last atom, counted through all structures
    "cell": (np.float64, 9),
    "pbc": (np.uint8, 3),
    "energy": (np.float64, 1),
    "stress": (np.float64, 6),
    "weights": (np.float64, 3),
    "inputs": (np.float64, len(STRUCTURE_INPUTS)),  # total charge, spin multiplicity; NaN without
    "empirical": (np.uint8, 1),  # whether the labels are those of an empirical potential
    "word": (np.int32, len(WORDS)),  # index of each word in the list of its values; -1 without
}
_OF_ATOM = {"numbers": (np.uint8, 1), "positions": (np.float64, 3), "forces": (np.float64, 3)}
_ARRAYS = {**_OF_STRUCTURE, **_OF_ATOM}


class StructureStore(Sequence[Atoms]):
    """A folder of arrays as a sequence of structures; each access reads one structure.

    Parameters
    ----------
    folder : Path
        As :meth:`write` has left it.

    Raises
    ------
    FileNotFoundError
        If it is no such folder.
    """

    def __init__(self, folder: Path):
        index = folder / "index.json"
        if not index.is_file():
            raise FileNotFoundError(f"expected a store of structures, found no {index}")
        self.folder = folder
        self.description = json.loads(index.read_text())
        self._open()

    def _open(self) -> None:
        counts = self.description["n_structures"], self.description["n_atoms"]
        for name, (kind, width) in _ARRAYS.items():
            n_rows = counts[0] if name in _OF_STRUCTURE else counts[1]
            file = self.folder / f"{name}.bin"
            if name == "empirical" and not file.is_file():  # a store of an earlier version
                array = np.zeros((n_rows, width), kind)
            else:
                array = np.memmap(file, kind, "r", shape=(n_rows, width))
            setattr(self, f"_{name}", array)

    def __getstate__(self) -> dict:
        """Give another process the folder, not a copy of the arrays."""
        return {"folder": self.folder, "description": self.description}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._open()

    def __len__(self) -> int:
        return self.description["n_structures"]

    def __getitem__(self, k: int) -> Atoms:
        if not -len(self) <= k < len(self):
            raise IndexError(f"expected an index below {len(self)}, got {k}")
        k = k % len(self)
        first, last = int(self._end[k - 1, 0]) if k > 0 else 0, int(self._end[k, 0])
        atoms = Atoms(
            np.array(self._numbers[first:last, 0], dtype=int),
            np.array(self._positions[first:last]),
            cell=np.array(self._cell[k]).reshape(3, 3),
            pbc=self._pbc[k].astype(bool),
        )
        labels = {
            "energy": self._energy[k],
            "forces": self._forces[first:last],
            "stress": self._stress[k],
        }
        known = {
            name: np.array(value) for name, value in labels.items() if not np.isnan(value).all()
        }
        atoms.info.update(zip(OF_LABELS, self._weights[k].tolist(), strict=True))
        inputs = zip(STRUCTURE_INPUTS, self._inputs[k].tolist(), strict=True)
        atoms.info.update({name: value for name, value in inputs if not np.isnan(value)})
        for name, index in zip(WORDS, self._word[k].tolist(), strict=True):
            if index >= 0:
                atoms.info[name] = self.description["words"][name][index]
        if self._empirical[k, 0]:
            mark_empirical(atoms)
        return with_labels(atoms, **known)

    @classmethod
    def write(cls, folder: Path, structures: Iterable[Atoms], source: str) -> StructureStore:
        """Write structures as they come, checked already, with labels that are finite or missing.

        Parameters
        ----------
        folder : Path
            Replaced if it exists.
        structures : iterable of ase.Atoms
        source : str
            Says of what the store is made; kept as ``description["source"]``.
        """
        draft = folder.with_name(folder.name + ".partial")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        files = {name: open(draft / f"{name}.bin", "wb") for name in _ARRAYS}  # noqa: SIM115
        n_structures = n_atoms = 0
        words: dict[str, dict[str, int]] = {name: {} for name in WORDS}
        try:
            for atoms in structures:
                n_structures, n_atoms = n_structures + 1, n_atoms + len(atoms)
                labels = {} if atoms.calc is None else atoms.calc.results
                inputs = numbers_from_info(atoms.info)
                values = {
                    "end": n_atoms,
                    "cell": atoms.cell.array,
                    "pbc": atoms.pbc,
                    "energy": labels.get("energy", np.nan),
                    "stress": labels.get("stress", np.full(6, np.nan)),
                    "weights": config_weights(atoms),
                    "inputs": [inputs.get(name, np.nan) for name in STRUCTURE_INPUTS],
                    "empirical": has_empirical_labels(atoms),
                    "word": [
                        words[name].setdefault(str(atoms.info[name]), len(words[name]))
                        if name in atoms.info
                        else -1
                        for name in WORDS
                    ],
                    "numbers": atoms.numbers,
                    "positions": atoms.positions,
                    "forces": labels.get("forces", np.full((len(atoms), 3), np.nan)),
                }
                for name, (kind, _) in _ARRAYS.items():
                    files[name].write(np.asarray(values[name]).astype(kind).tobytes())
        finally:
            for file in files.values():
                file.close()
        description = {
            "n_structures": n_structures,
            "n_atoms": n_atoms,
            "source": source,
            "words": {name: list(values) for name, values in words.items()},
        }
        (draft / "index.json").write_text(json.dumps(description))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(draft, folder)
        return cls(folder)
