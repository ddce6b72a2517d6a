"""Old structures that are trained on along with new ones, so that a network does not forget them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ase import Atoms

from mlip_engines.readers.labelled import with_labels


def replayed(
    frames: Sequence[Atoms],
    before: Mapping[str, float],
    after: Mapping[str, float],
    path: str | Path,
) -> list[Atoms]:
    """Return old structures with their energies moved to the reference energies of a new run.

    The new labels may be of another method, whose zero of energy is another. What a network learns is the energy
    beyond the reference energies, and that of an old structure stays what it was.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        With energies and forces.
    before, after : mapping of str to float, eV
        Reference energies of the run to start from, and of the new one.
    path : str or Path
        Where the structures are from, for messages.

    Raises
    ------
    ValueError
        If a structure has an element that the new run does not know.
    """
    moved = []
    for k, atoms in enumerate(frames):
        symbols = atoms.get_chemical_symbols()
        unknown = sorted(set(symbols) - set(after))
        if unknown:
            raise ValueError(
                f"{path}: structure {k}: replay: expected elements of the run to start from or of the new data, "
                f"{sorted(after)}; got {unknown}"
            )
        shift = sum(after[s] - before.get(s, after[s]) for s in symbols)
        labels = dict(atoms.calc.results)
        if "energy" in labels:
            labels["energy"] = labels["energy"] + shift
        moved.append(with_labels(atoms.copy(), **labels))
    return moved
