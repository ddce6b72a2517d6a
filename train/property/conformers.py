"""Other geometries of the molecules that a property is known of, and the way back to the true ones.

Fu et al., "Augmenting molecular graphs with geometries via machine learning interatomic potentials", section 2.4: half
of what a network is trained on are true geometries with noise, half are frames of relaxations with a potential. Beside
the property the network learns the displacements from these to the true geometries, in their directions (eq. 9).
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from scipy.spatial.transform import Rotation
from torch import Tensor

from mlip_engines.model.structure_inputs import INFO_KEYS

# A shorter displacement has no direction that could be learned, Å
SHORTEST = 1e-3


def _inputs_of(atoms: Atoms) -> dict[str, object]:
    keys = [key for keys in INFO_KEYS.values() for key in keys]
    return {key: atoms.info[key] for key in keys if key in atoms.info}


class Conformers:
    """For each structure of a set its conformers, in the order of the frames: the last ones are the most relaxed.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        With their true geometries.
    frames : sequence of ase.Atoms
        Conformers, in any number for each molecule.
    key : str
        Name in ``info`` that says which molecule a structure or a frame is of.

    Raises
    ------
    ValueError
        If a structure lacks the key or has that of another, is periodic, or a frame has other atoms or another order of
        them; or if no frame is of any structure.
    """

    def __init__(self, structures: Sequence[Atoms], frames: Sequence[Atoms], key: str):
        self.structures = structures
        self.by_structure: list[list[Atoms]] = [[] for _ in structures]
        places: dict[str, int] = {}
        for k, atoms in enumerate(structures):
            name = atoms.info.get(key)
            if name is None:
                raise ValueError(
                    f"structure {k}: expected the key {key!r}, which says whose conformers are which, got none; name "
                    "another with --molecule-key"
                )
            if atoms.pbc.any():
                raise ValueError(
                    f"structure {k}: conformers are of molecules, got a structure that is periodic"
                )
            if str(name) in places:
                raise ValueError(
                    f"structures {places[str(name)]} and {k} are both {key}={name}; expected each molecule once"
                )
            places[str(name)] = k
        for n, frame in enumerate(frames):
            k = places.get(str(frame.info.get(key)))
            if k is None:
                continue  # of a molecule that is in no part of this run
            if not np.array_equal(frame.numbers, structures[k].numbers):
                raise ValueError(
                    f"conformer {n} ({key}={frame.info[key]}): expected the atoms {structures[k].symbols} in this "
                    f"order, got {frame.symbols}"
                )
            frame = frame.copy()
            # what is known of the molecule and enters a network, where the frame does not say
            frame.info = {**_inputs_of(structures[k]), **frame.info}
            self.by_structure[k].append(frame)
        if not any(self.by_structure):
            raise ValueError(
                f"expected conformers with the {key} of some structure, got {len(frames)} frames without"
            )

    def checksum(self) -> str:
        """Return a hash of which conformers there are, and in which order."""
        found = hashlib.sha256()
        for frames in self.by_structure:
            found.update(b"|")
            for frame in frames:
                found.update(np.ascontiguousarray(frame.positions).tobytes())
        return found.hexdigest()

    def last(self, k: int) -> Atoms | None:
        """Return the last conformer of structure k, None if it has none."""
        return self.by_structure[k][-1] if self.by_structure[k] else None


def drawn(
    structure: Atoms, conformers: Sequence[Atoms], noise: float, generator: torch.Generator
) -> Atoms:
    """Return a geometry to train on: in one of two cases a conformer if there is any, else the true one with noise.

    Parameters
    ----------
    structure : ase.Atoms
        With its true geometry.
    conformers : sequence of ase.Atoms
    noise : float, Å
        Standard deviation of each coordinate.
    generator : torch.Generator
    """
    # as many random numbers in either case: a run that is resumed goes on as it would have
    which = torch.rand(2, generator=generator, dtype=torch.float64)
    moves = torch.randn(structure.positions.shape, generator=generator, dtype=torch.float64)
    if len(conformers) > 0 and float(which[0]) < 0.5:
        return conformers[min(int(float(which[1]) * len(conformers)), len(conformers) - 1)]
    moved = structure.copy()
    moved.positions += noise * moves.numpy()
    return moved


def displacements(geometry: Atoms, true: Atoms) -> Tensor:
    """Return the way (N, 3) in Å from a geometry to the true one, which is laid over it as well as possible.

    A molecule that is turned or moved as a whole is the same: of that no network could know.

    Parameters
    ----------
    geometry, true : ase.Atoms
        The same atoms in the same order. Structures that are periodic are not turned.
    """
    start = geometry.positions - geometry.positions.mean(axis=0)
    goal = true.positions - true.positions.mean(axis=0)
    if not geometry.pbc.any() and len(geometry) > 1:
        with warnings.catch_warnings():
            # linear molecules may be turned around their axis: it is the same
            warnings.simplefilter("ignore", UserWarning)
            rotation, _ = Rotation.align_vectors(start, goal)
        goal = rotation.apply(goal)
    return torch.from_numpy(goal - start)


def alignment_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the mean over atoms of 1 - cos(predicted, target), eq. 9; of atoms that have to move.

    Parameters
    ----------
    predicted, target : (N, 3) tensor
        Only the directions count.

    Returns
    -------
    () tensor
        From 0 to 2; 0 if no atom has to move.
    """
    length = torch.linalg.vector_norm(target, dim=1)
    moves = length > SHORTEST
    if not bool(moves.any()):
        return 0.0 * predicted.sum()
    cosine = torch.nn.functional.cosine_similarity(predicted[moves], target[moves], dim=1, eps=1e-8)
    return (1.0 - cosine).mean()
