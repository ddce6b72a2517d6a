"""One crystal, read and relaxed: what phonons and elastic constants begin with."""

from __future__ import annotations

from pathlib import Path

from ase import Atoms

from mlip_engines.model.load import LoadedModel
from mlip_engines.readers import check_units, read_structures
from mlip_engines.relaxation.run import relax
from mlip_engines.relaxation.space_group import can_find_space_groups, space_group


def one_crystal(path: Path, units: str | None = None) -> Atoms:
    """Return the crystal of a file.

    Raises
    ------
    ValueError
        If there is more than one structure, or it is not periodic in three directions.
    """
    check_units(units, path)
    structures = read_structures(path, units=units or "metal", labels=False, progress=False)
    if len(structures) != 1:
        raise ValueError(
            f"{path}: expected one structure, got {len(structures)}; write the one that you mean to a file of its own"
        )
    (atoms,) = structures
    if not atoms.pbc.all():
        raise ValueError(
            f"{path}: expected a crystal, periodic in three directions, got pbc = {atoms.pbc.tolist()}"
        )
    atoms.set_constraint()
    return atoms


def relaxed_crystal(
    model: LoadedModel, atoms: Atoms, *, fmax: float, cell: bool = True
) -> tuple[Atoms, list[str]]:
    """Return the crystal in its minimum, by conservative forces, and warnings.

    Parameters
    ----------
    fmax : float, eV/Å
    cell : bool
        Whether the cell is relaxed as well.

    Raises
    ------
    ValueError
        If it does not get there.
    """
    (found,) = relax(model, [atoms], cell=cell, fmax=fmax, steps=1000)
    if not found.converged:
        raise ValueError(
            f"the crystal could not be relaxed to {fmax:g} eV/Å: {found.failure}, {found.reason}; relax it with "
            "mlip-relax and see why, or take it as it is with --no-relax"
        )
    warnings = []
    if can_find_space_groups():
        before, after = (space_group(each, 0.01) for each in (atoms, found.atoms))
        if before != after:
            warnings.append(
                f"{model.metadata.name}: relaxed, the space group is {after}, before {before}."
            )
    return found.atoms, warnings
