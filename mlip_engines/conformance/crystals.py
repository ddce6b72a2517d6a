"""Crystals whose atoms sit at symmetric sites, where the vector features of a network vanish."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from ase.data import chemical_symbols, covalent_radii

from mlip_engines.conformance.probes import Probe

# Sites in a cubic cell, in units of its edge, and the distance to the nearest neighbour.
_FACES = [[0.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]]
_CENTRE = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]
LATTICES = {
    "fcc": (_FACES, np.sqrt(0.5)),
    "bcc": (_CENTRE, np.sqrt(0.75)),
    "diamond": (_FACES + [[x + 0.25, y + 0.25, z + 0.25] for x, y, z in _FACES], np.sqrt(3.0) / 4),
    "rocksalt": (_FACES + [[x + 0.5, y, z] for x, y, z in _FACES], 0.5),
}
# Å, by covalent radii, of elements that form such crystals; carbon is an exception
SHORTEST_BOND = 2.2
NOT_BONDED = 3.4  # Å, about twice the van der Waals radius of C, N or O
MOST_ELEMENTS = 4  # of a model of many, so many are tried


def crystals(cutoff: float, numbers: Sequence[int]) -> dict[str, Probe]:
    """Return crystals by name: fcc, bcc and diamond of each element, rocksalt of pairs.

    Of more than :data:`MOST_ELEMENTS` elements, that many are taken, spread evenly over the list.

    Parameters
    ----------
    cutoff : float, Å
    numbers : sequence of int
        Atomic numbers of the elements.
    """
    numbers = list(dict.fromkeys(numbers))
    if len(numbers) > MOST_ELEMENTS:
        chosen = np.linspace(0, len(numbers) - 1, MOST_ELEMENTS).round().astype(int)
        numbers = [numbers[k] for k in chosen]
    found = {}
    for number in numbers:
        for lattice in ("fcc", "bcc", "diamond"):
            found[f"{lattice} {chemical_symbols[number]}"] = _crystal(lattice, [number], cutoff)
    for pair in zip(numbers[::2], numbers[1::2] + numbers[:1], strict=False):
        name = "".join(chemical_symbols[number] for number in pair)
        found[f"rocksalt {name}"] = _crystal("rocksalt", pair, cutoff)
    return found


def _crystal(lattice: str, elements: Sequence[int], cutoff: float) -> Probe:
    """Build a cubic cell whose nearest neighbours are within the cutoff, and none close to it.

    They are bonded, or as far apart as molecules where bonds are shorter than :data:`SHORTEST_BOND`: a model of water
    knows no crystal of O atoms at 1.3 Å, and its answer there may be anything.
    """
    sites, nearest = LATTICES[lattice]
    length = float(sum(covalent_radii[elements[k % len(elements)]] for k in (0, 1)))
    length = min(
        max(length if length > SHORTEST_BOND else NOT_BONDED, 0.45 * cutoff), 0.75 * cutoff
    )
    # Up to a fifth wider, as far as any shell can be from the cutoff.
    lengths = length * np.linspace(1.0, 1.2, 41)
    length = max(lengths, key=lambda value: _gap(np.array(sites), value / nearest, cutoff))
    edge = length / nearest
    numbers = [elements[0]] * len(sites)
    if len(elements) == 2:
        numbers[len(sites) // 2 :] = [elements[1]] * (len(sites) // 2)
    cell = edge * torch.eye(3, dtype=torch.float64)
    return Probe(torch.tensor(sites, dtype=torch.float64) * edge, cell, numbers, cutoff)


def _gap(sites: np.ndarray, edge: float, cutoff: float) -> float:
    """Return how far the nearest shell of neighbours is from the cutoff, Å."""
    n = int(np.ceil(cutoff / edge)) + 1
    axis = np.arange(-n, n + 1)
    cells = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 1, 3)  # (cells, 1, 3)
    distances = edge * np.linalg.norm(cells + sites - sites[0], axis=-1)
    return float(np.abs(distances - cutoff).min())
