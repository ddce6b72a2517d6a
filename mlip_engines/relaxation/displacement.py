"""How far the atoms of a structure have moved, apart from what is no change of the structure."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation


def root_mean_square_displacement(before: Atoms, after: Atoms) -> float:
    """Return the RMSD in Å between a structure and itself later.

    Of a molecule, translation and rotation are taken out. Where there is periodicity, the atoms before are carried
    along with the cell, and the mean displacement is taken out.
    """
    if not before.pbc.any():
        fitted = before.copy()
        fitted.set_constraint()
        if len(before) > 1:
            minimize_rotation_and_translation(after, fitted)
        else:
            fitted.positions = after.positions
        change = fitted.positions - after.positions
    else:
        carried = before.positions
        if before.cell.rank == 3:
            carried = before.cell.scaled_positions(before.positions) @ after.cell.array
        change = after.positions - carried
        change = change - change.mean(axis=0)
    return float(np.sqrt((change**2).sum(axis=1).mean()))
