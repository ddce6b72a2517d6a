"""Labels that a structure must have: an energy or forces, or both, all of them finite."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from mlip_engines.labels.places import listed


def check_presence(atoms: Atoms, where: str) -> None:
    """Refuse a structure that has neither energy nor forces, or a label that is not finite.

    Parameters
    ----------
    atoms : ase.Atoms
    where : str
        How to name the structure, see :func:`mlip_engines.labels.places.place`.

    Raises
    ------
    ValueError
        If there is neither energy nor forces, or a label, stress included, is not finite.
    """
    labels = {} if atoms.calc is None else atoms.calc.results
    if "energy" not in labels and "forces" not in labels:
        raise ValueError(
            f"{where}: expected a label 'energy' in eV, 'forces' in eV/Å, or both; got {_found(atoms)}; in extended "
            "XYZ the labels are energy=... and a column forces:R:3; --energy-key and --forces-key name others"
        )
    for name, values in labels.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{where}: {name} is not finite; remove the frame")


def presence_warnings(structures: Sequence[Atoms], names: np.ndarray) -> list[str]:
    """Return a sentence for each of energy and forces that some structures lack, or all.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        As of :func:`check_presence`.
    names : (S,) array of int
        Their indices in their file.
    """
    warnings = []
    for name in ("energy", "forces"):
        lacking = np.flatnonzero([name not in atoms.calc.results for atoms in structures])
        if not len(lacking):
            continue
        # What is there tells a label under another name from one that was never computed.
        found = _found(structures[lacking[0]])
        which = (
            f"none of {len(structures)} structures has a label of {name}"
            if len(lacking) == len(structures)
            else f"{listed(names[lacking])} of {len(structures)} have no label of {name}"
        )
        warnings.append(
            f"{which} (the first has {found}); they count where they have labels. If {name} is there under another "
            f"name, give it with --{name}-key"
        )
    return warnings


def _found(atoms: Atoms) -> list[str]:
    labels = {} if atoms.calc is None else atoms.calc.results
    return sorted(
        {*labels, *map(str, atoms.info), *atoms.arrays}
        - {"numbers", "positions", "origin", "index_in_file"}
    )
