"""What cannot be right with a structure, and lengths that are unlikely to be in Å."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from mlip_engines.model.neighbors import neighbor_graph

CLOSEST_ATOMS = 0.3  # Å; the shortest bond there is, of H2, has 0.74
SMALLEST_VOLUME = 0.5  # Å^3 per atom; diamond has 5.7
PLAUSIBLE_BONDS = (0.65, 1.5)  # shortest distance over the sum of the covalent radii

_NOBLE_GASES = (2, 10, 18, 36, 54, 86)


def check_geometry(atoms: Atoms, where: str) -> None:
    """Refuse a structure that no calculation can have been made for.

    Parameters
    ----------
    atoms : ase.Atoms
    where : str
        How to name the structure, see :func:`mlip_engines.labels.places.place`.

    Raises
    ------
    ValueError
        If it has no atoms, an unknown element, a periodic direction without a lattice vector, a coordinate or lattice
        vector that is not finite, linearly dependent lattice vectors, less than :data:`SMALLEST_VOLUME` per atom, or
        two atoms (also periodic images) closer than :data:`CLOSEST_ATOMS`.
    """
    if len(atoms) == 0:
        raise ValueError(f"{where}: expected at least one atom, got none; remove the frame")
    if (atoms.numbers < 1).any():
        raise ValueError(f"{where}: expected elements, got atomic number {atoms.numbers.min()}")
    missing = [axis for axis in range(3) if atoms.pbc[axis] and not atoms.cell.array[axis].any()]
    if missing:
        raise ValueError(
            f"{where}: expected a lattice vector along each periodic direction, got pbc {atoms.pbc.tolist()} and none "
            f'along {missing}; add the cell, or say that there is no periodicity (pbc="F F F" in extended XYZ)'
        )
    if atoms.pbc.all() and 0.0 < atoms.cell.volume < SMALLEST_VOLUME * len(atoms):
        raise ValueError(
            f"{where}: expected at least {SMALLEST_VOLUME} Å^3 per atom, got a cell of "
            f"{atoms.get_volume():.3g} Å^3 for {len(atoms)} atoms; is the lattice in Å?"
        )
    try:
        graph = neighbor_graph(atoms, 1.0)
    except ValueError as e:
        raise ValueError(f"{where}: {e}") from e
    lengths = graph.edge_vectors.norm(dim=1)
    if len(lengths) and lengths.min() < CLOSEST_ATOMS:
        i, j = graph.edge_index[:, int(lengths.argmin())].tolist()
        raise ValueError(
            f"{where}: expected atoms at least {CLOSEST_ATOMS} Å apart, got {lengths.min():.3f} Å between "
            f"atoms {i} and {j}; are positions and lattice in Å, and is the cell the right one?"
        )


def implausible_lengths(structures: list[Atoms]) -> str | None:
    """Say why lengths are unlikely to be in Å, or None if they may be.

    The shortest distance in a structure is about the sum of two covalent radii, in molecules, ions and metals alike;
    taken for Å, bohr are 1.9 times too long. The median of 20 structures decides, and noble gases do not count.
    """
    ratios = []
    for k in np.linspace(0, len(structures) - 1, min(len(structures), 20)).astype(int):
        ratio = _shortest_bond(structures[k])
        if ratio is not None:
            ratios.append(ratio)
    if not ratios:
        return None
    ratio = float(np.median(ratios))
    if PLAUSIBLE_BONDS[0] <= ratio <= PLAUSIBLE_BONDS[1]:
        return None
    question = (
        "are lengths in bohr?" if ratio > 1.0 else "are they in nm, or in Å and taken for bohr?"
    )
    return (
        f"the shortest distances are {ratio:.2f} times the sum of the covalent radii, expected "
        f"{PLAUSIBLE_BONDS[0]} to {PLAUSIBLE_BONDS[1]} times; {question}"
    )


def _shortest_bond(atoms: Atoms) -> float | None:
    """Return the smallest distance over the sum of the covalent radii; None without neighbours within 8 Å."""
    smallest = None
    # From short to long: in a cell that is much too small, 8 Å would be millions of neighbours.
    for cutoff in (1.0, 2.0, 4.0, 8.0):
        graph = neighbor_graph(atoms, cutoff)
        pairs = atoms.numbers[graph.edge_index.numpy()]  # (2, E)
        counted = ~np.isin(pairs, _NOBLE_GASES).any(axis=0)  # (E,)
        if counted.any():
            ratios = graph.edge_vectors.norm(dim=1).numpy() / covalent_radii[pairs].sum(axis=0)
            smallest = float(ratios[counted].min())
            if smallest <= PLAUSIBLE_BONDS[1]:
                break
    return smallest
