"""How large a supercell has to be for force constants."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from mlip_engines.model.load import LoadedModel


def widths(atoms: Atoms) -> np.ndarray:
    """Return the distances (3,) between opposite faces of the cell, Å."""
    return 1.0 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)


def smallest_supercell(atoms: Atoms, model: LoadedModel) -> tuple[int, int, int]:
    """Return the repeats with which no atom is near two images of another: twice the cutoff between faces."""
    n = np.ceil(2.0 * model.metadata.cutoff / widths(atoms) - 1e-9).astype(int)
    return tuple(int(k) for k in np.maximum(n, 1))


def checked_supercell(
    atoms: Atoms, model: LoadedModel, supercell: tuple[int, int, int] | None
) -> tuple[tuple[int, int, int], list[str]]:
    """Return the repeats that are to be used, and warnings.

    Parameters
    ----------
    atoms : ase.Atoms
    model : LoadedModel
    supercell : tuple of int or None
        None chooses the smallest that is enough for the cutoff.

    Raises
    ------
    ValueError
        If the structure is not periodic in three directions, or the supercell is too small for the model.
    """
    if not atoms.pbc.all():
        raise ValueError(
            f"phonons need a crystal that is periodic in three directions, got pbc = {atoms.pbc.tolist()}; set pbc and "
            "the cell, or relax a molecule with mlip-relax"
        )
    smallest = smallest_supercell(atoms, model)
    chosen = supercell or smallest
    if any(n < least for n, least in zip(chosen, smallest, strict=True)):
        size = widths(atoms) * chosen
        raise ValueError(
            f"the supercell {' '.join(map(str, chosen))} is {size.min():.1f} Å wide, less than twice the cutoff of the "
            f"model, {model.metadata.cutoff:g} Å: a displaced atom would act on others from two sides; use --supercell "
            f"{' '.join(map(str, smallest))} or larger"
        )
    reach = 2.0 * model.metadata.interaction_range
    size = float((widths(atoms) * chosen).min())
    if size >= reach - 1e-9:
        return chosen, []
    return chosen, [
        f"The supercell is {size:.1f} Å wide, and forces of this model reach {reach / 2:g} Å in "
        f"{model.metadata.message_passing_layers} layers: force constants beyond {size / 2:.1f} Å are folded back. Try "
        "a larger --supercell to see whether the frequencies change."
    ]
