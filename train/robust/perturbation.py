"""Structures with close pairs: some pairs of neighbours pulled together, some atoms displaced at random.

Algorithm 1 of Zheng, Fung, Improving reliability of machine learned interatomic potentials with physics-informed
pretraining; the parameters are those of its table A.1. Two things are added, because what the labels of atoms on top of
each other would mean nobody knows: no atom comes nearer to another than a fraction of their covalent radii, and so a
pair that is pulled never passes through itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.geometry import find_mic
from numpy.typing import NDArray

from mlip_engines.model.neighbors import neighbor_graph

LEAST = 0.35  # Å; nearer than 0.3 Å readers of structures refuse them
TRIES = 200  # of random numbers for one pair or site
_REACHES = (3.0, 6.0, 12.0, 24.0)  # Å, how far close pairs are looked for


@dataclass(frozen=True)
class Perturbation:
    """How much is perturbed; the names in brackets are those of table A.1.

    Strengths fall linearly over the rounds from the first to the second value, which is not reached: 1.0, 0.8, 0.6,
    0.4, 0.2 Å for five rounds from 1 to 0.

    Raises
    ------
    ValueError
        If a number is negative, there are no rounds, or a pair of strengths is not one.
    """

    rounds: int = 5  # (n_aug) perturbed copies of each structure
    pairs: int = 4  # (n_pairs) close pairs that are pulled together
    pull: tuple[float, float] = (1.0, 0.0)  # Å, largest way of each atom of a pair
    sites: int = 5  # (n_sites) atoms that are displaced
    displacement: tuple[float, float] = (1.0, 0.0)  # (Perturb) Å, largest way of such an atom
    closest: float = 0.4  # of the sum of the covalent radii
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name in ("pairs", "sites", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.rounds < 1:
            raise ValueError(f"rounds must be positive, got {self.rounds}")
        if not 0.0 < self.closest < 1.0:
            raise ValueError(
                f"closest is a fraction of the sum of two covalent radii, between 0 and 1, got {self.closest}"
            )
        for name in ("pull", "displacement"):
            values = getattr(self, name)
            if len(values) != 2 or not all(np.isfinite(v) and v >= 0.0 for v in values):
                raise ValueError(
                    f"{name} must be two lengths in Å, of the first round and after the last, got {values}"
                )

    def strengths(self) -> list[tuple[float, float]]:
        """Return the largest pull and the largest displacement of each round, Å."""
        columns = [
            np.linspace(*ends, self.rounds, endpoint=False)
            for ends in (self.pull, self.displacement)
        ]
        return [(float(a), float(b)) for a, b in zip(*columns, strict=True)]


def perturbed(atoms: Atoms, settings: Perturbation, index: int) -> Iterator[Atoms]:
    """Yield one perturbed copy of a structure for each round; ``info`` says of which structure and round.

    Parameters
    ----------
    atoms : ase.Atoms
        Labels are dropped.
    settings : Perturbation
    index : int
        Of the structure: with the seed it decides the random numbers, so results do not depend on the order of work.

    Raises
    ------
    ValueError
        If there is one atom only, the cell is too small for the largest way of an atom, or no place is found for one.
    """
    check_size(atoms, settings)
    pairs = closest_pairs(atoms, settings.pairs)
    for k, (pull, displacement) in enumerate(settings.strengths()):
        rng = np.random.default_rng([settings.seed, index, k])
        copy = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        for i, j, vector in pairs:
            _pull(copy, i, j, vector, pull, settings.closest, rng)
        n_sites = min(settings.sites, len(atoms))
        for site in rng.choice(len(atoms), n_sites, replace=False).tolist():
            _displace(copy, site, displacement, settings.closest, rng)
        copy.info = {"perturbed_from": index, "perturbation_round": k}
        yield copy


def check_size(atoms: Atoms, settings: Perturbation) -> None:
    """Refuse a structure in which there is nothing to pull, or no room for it.

    Raises
    ------
    ValueError
        As :func:`perturbed`.
    """
    if len(atoms) < 2:
        raise ValueError(
            f"expected at least two atoms, of which a pair can be pulled, got {len(atoms)}"
        )
    if atoms.pbc.any():
        inverse = np.linalg.pinv(np.where(atoms.pbc[:, None], atoms.cell.array, 0.0))
        widths = 1.0 / np.linalg.norm(inverse, axis=0)[atoms.pbc]
        way = max(*settings.pull, *settings.displacement)
        if widths.min() < 2.0 * way:
            raise ValueError(
                f"expected a cell at least {2.0 * way:.2f} Å wide, twice the largest way of an atom ({way:.2f} Å), so "
                f"that an atom does not meet its own images; got {widths.min():.2f} Å: make a supercell, or pull and "
                "displace by less"
            )


def closest_pairs(atoms: Atoms, count: int) -> list[tuple[int, int, NDArray[np.float64]]]:
    """Return the pairs at the smallest distances, no atom in two of them.

    Parameters
    ----------
    atoms : ase.Atoms
    count : int
        How many; fewer are returned if there are not so many.

    Returns
    -------
    list of (int, int, (3,) array)
        Two atoms and the vector in Å from the first to the nearest image of the second, shortest first.
    """
    found: list[tuple[int, int, NDArray[np.float64]]] = []
    wanted = min(count, len(atoms) // 2)
    for reach in _REACHES:
        graph = neighbor_graph(atoms, reach)
        vectors = graph.edge_vectors.numpy()
        ends = graph.edge_index.numpy()
        found, used = [], set()
        for e in np.argsort(np.linalg.norm(vectors, axis=1), kind="stable").tolist():
            i, j = int(ends[0, e]), int(ends[1, e])
            if len(found) == wanted:
                break
            if i < j and i not in used and j not in used:
                used |= {i, j}
                found.append((i, j, vectors[e]))
        if len(found) == wanted:
            break
    return found


def _pull(
    atoms: Atoms,
    i: int,
    j: int,
    vector: NDArray[np.float64],
    largest: float,
    closest: float,
    rng: np.random.Generator,
) -> None:
    """Move two atoms towards each other by the same random length, at most ``largest``, as far as there is room."""
    distance = float(np.linalg.norm(vector))
    least = _least(atoms, i, np.array([j]), closest)[0]
    limit = min(largest, 0.5 * (distance - least))
    before = atoms.positions[[i, j]].copy()
    for _ in range(TRIES):
        if limit <= 0.0:
            break
        step = rng.uniform(0.0, limit) * vector / distance
        atoms.positions[i], atoms.positions[j] = before[0] + step, before[1] - step
        if _has_room(atoms, i, closest) and _has_room(atoms, j, closest):
            return
        limit *= 0.9  # something else is in the way
    atoms.positions[[i, j]] = before


def _displace(
    atoms: Atoms, site: int, largest: float, closest: float, rng: np.random.Generator
) -> None:
    """Move an atom in a random direction by a random length, at most ``largest``, to where there is room."""
    before = atoms.positions[site].copy()
    for _ in range(TRIES):
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        atoms.positions[site] = before + rng.uniform(0.0, largest) * direction
        if _has_room(atoms, site, closest):
            return
    atoms.positions[site] = before
    if not _has_room(atoms, site, closest):
        raise ValueError(
            f"found no place for atom {site} within {largest:.2f} Å where all others are {closest:g} times the sum of "
            "the covalent radii away; the structure itself is too dense: leave it out, or lower this fraction"
        )


def _least(atoms: Atoms, i: int, others: NDArray[np.int_], closest: float) -> NDArray[np.float64]:
    """Return how near an atom may come to others, Å."""
    sums = covalent_radii[atoms.numbers[i]] + covalent_radii[atoms.numbers[others]]
    return np.maximum(closest * sums, LEAST)


def _has_room(atoms: Atoms, i: int, closest: float) -> bool:
    others = np.delete(np.arange(len(atoms)), i)
    vectors = atoms.positions[others] - atoms.positions[i]
    lengths = (
        find_mic(vectors, atoms.cell, atoms.pbc)[1]
        if atoms.pbc.any()
        else np.linalg.norm(vectors, axis=1)
    )
    return bool((lengths >= _least(atoms, i, others, closest)).all())
