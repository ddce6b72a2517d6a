"""Labels that a structure must have: an energy and forces, all of them finite."""

from __future__ import annotations

import numpy as np
from ase import Atoms


def check_presence(atoms: Atoms, where: str) -> None:
    """Refuse a structure that lacks a label, or has one that is not finite.

    Parameters
    ----------
    atoms : ase.Atoms
    where : str
        How to name the structure, see :func:`mlip_engines.labels.places.place`.

    Raises
    ------
    ValueError
        If there is no energy, there are no forces, or a label, stress included, is not finite.
    """
    labels = {} if atoms.calc is None else atoms.calc.results
    for name, unit in (("energy", "eV"), ("forces", "eV/Å")):
        if name not in labels:
            found = sorted({*labels, *atoms.info, *atoms.arrays} - {"numbers", "positions"})
            raise ValueError(
                f"{where}: expected a label {name!r} in {unit}, got {found}; "
                "in extended XYZ the labels are energy=... and a column forces:R:3"
            )
    for name, values in labels.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{where}: {name} is not finite; remove the frame")
