"""Structures that no label calls bad: the network looks for its own false minima and learns that they are none.

Labelled data lie where a simulation has been. Elsewhere nothing keeps the energy up, and a minimiser finds the places
where it is too low: broken molecules, crowds, boxes whose atoms all sit at energies that only few atoms of the data
have. They cannot be found before the training, because each network has its own.

So a pool of structures goes with the network. They start with atoms at random places, or from a displaced structure of
the data, and move down the energy of the network as it is now, a few steps at a time. No arrangement of atoms should
lie far below the lowest of the same composition in the data; what a structure of the pool lies below is added to the
loss. This is persistent contrastive divergence (Tieleman, ICML 2008) with descents in place of sampling.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from ase.data import covalent_radii
from torch import Tensor, nn

from mlip_engines.model.derivatives import energy_gradient, forces_from_edges
from mlip_engines.model.prediction import by_structure
from mlip_engines.model.short_range import WithShortRange
from mlip_train.data.batching import Batch, collate
from mlip_train.data.structure import prepare

DESCENTS = 4  # of each structure in a step of the training
_GAIN, _LONGEST = (
    0.01,
    0.1,
)  # Å per eV/Å; stable up to force constants of 200 eV/Å^2. Å of one atom at once
_BOXES, _ATOMS = 7, 24  # boxes with atoms at random places, and about how many atoms are in one
_AGES = 15, 60  # steps of the training after which a structure gives way to a new one
_DEEP = 1.0  # eV/atom below what is allowed: a structure goes no further into a hole
_SOFT = 0.1  # eV/atom; what lies much lower counts by its logarithm, or one hole would be the whole loss

Composition = tuple[tuple[int, int], ...]  # atomic number and count, in lowest terms


def composition_of(numbers: Sequence[int]) -> Composition:
    """Return the composition of a structure in lowest terms: the same for one molecule of water and for 64.

    Examples
    --------
    >>> composition_of([8, 1, 1, 8, 1, 1])
    ((1, 2), (8, 1))
    """
    counts = Counter(int(number) for number in numbers)
    units = math.gcd(*counts.values())
    return tuple(sorted((number, count // units) for number, count in counts.items()))


def lowest_energies(frames: Sequence[Atoms], baseline: Tensor) -> dict[Composition, float]:
    """Return the lowest energy per atom of each composition, without the reference energies, eV."""
    lowest: dict[Composition, float] = {}
    for atoms in frames:
        if atoms.calc is None or "energy" not in atoms.calc.results:
            continue
        numbers = torch.tensor(atoms.numbers, dtype=torch.int64)
        energy = (atoms.get_potential_energy() - float(baseline[numbers].sum())) / len(atoms)
        key = composition_of(atoms.numbers)
        lowest[key] = min(energy, lowest.get(key, math.inf))
    return lowest


@dataclass
class _Walker:
    atoms: Atoms
    bound: float  # eV/atom; lower is false
    steps_left: int
    before: np.ndarray | None = None  # (N, 3) Å, the positions before the last descent


class Negatives:
    """A pool of structures that go down the energy of a network in training.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        The labelled structures to train on.
    baseline : (119,) tensor, eV
        Reference energy by atomic number.
    network : AtomicNetwork
        In training; the pool sees it with the repulsion at short distances that its file will have.
    scale : float
        Factor on what the network returns.
    shortest : dict of str to float, Å
        Shortest distance of each pair of elements in the data.
    seed : int
        Of this process: each one has a pool of its own. A run that is resumed begins with a new pool.
    """

    def __init__(
        self,
        frames: Sequence[Atoms],
        baseline: Tensor,
        network: nn.Module,
        scale: float,
        shortest: dict[str, float],
        seed: int,
    ):
        self.frames, self.baseline, self.scale = frames, baseline, scale
        # a composition without a label of energy has no lowest one, and nothing is false there
        self.lowest = lowest_energies(frames, baseline)
        within = {pair: s for pair, s in shortest.items() if s < network.cutoff}
        first = next(network.parameters())
        self.dtype, self.device = first.dtype, first.device
        self.wrapped = WithShortRange(network, within, scale).to(self.device)
        self.rng = np.random.default_rng(seed)
        is_packed = [True] * _BOXES if any(atoms.pbc.all() for atoms in frames) else []
        self.walkers = [self._new(packed) for packed in [*is_packed, False]]

    def descend(self, margin: float) -> None:
        """Move structures down the energy of the network as it is now; renew those that have done their time.

        One that is below what its composition allows waits there until the training has raised it. One that fell deep
        into a hole goes half of its last step back: it shall show where the hole begins. For ``margin``, see
        :meth:`loss`.
        """
        for _ in range(DESCENTS):
            for walker, energy, move in zip(self.walkers, *self._energies_and_moves(), strict=True):
                here = walker.atoms.positions
                if not np.isfinite(energy) or energy < walker.bound - margin - _DEEP:
                    if walker.before is None:
                        walker.steps_left = 0
                    else:
                        walker.atoms.positions = 0.5 * (walker.before + here)
                elif energy >= walker.bound - margin:
                    walker.before, walker.atoms.positions = here.copy(), here + move
        for k, walker in enumerate(self.walkers):
            walker.steps_left -= 1
            if walker.steps_left < 0:
                self.walkers[k] = self._new(is_packed=k < len(self.walkers) - 1)

    def _energies_and_moves(self) -> tuple[list[float], list[np.ndarray]]:
        """Return the energy of each structure, eV/atom, and a step along its forces, (N, 3) Å."""
        batch = self._batch()
        vectors = batch.graph.edge_vectors.requires_grad_(True)
        graph = batch.graph._replace(edge_vectors=vectors)
        atomic = self.scale * self.wrapped(graph, False)["atomic_energies"].double()  # (N,)
        gradients = energy_gradient(atomic.sum(), vectors)
        forces = forces_from_edges(graph.edge_index, gradients, graph.n_atoms)
        moves = _GAIN * forces.detach().double().cpu()
        length = moves.norm(dim=1, keepdim=True).clamp(min=1e-12)
        moves = torch.nan_to_num(moves * (_LONGEST / length).clamp(max=1.0))
        sizes = [len(walker.atoms) for walker in self.walkers]
        energies = [float(part.mean()) for part in atomic.detach().cpu().split(sizes)]
        return energies, [part.numpy() for part in moves.split(sizes)]

    def loss(self, margin: float) -> Tensor:
        """Return how far structures lie below what their composition allows, eV/atom, with a gradient.

        Parameters
        ----------
        margin : float, eV/atom
            How far below the lowest of the data a structure may be: data of a warm liquid do not hold its minima.

        Returns
        -------
        () float64 tensor
            The mean over the pool; what is more than 0.1 eV/atom too low counts by its logarithm.
        """
        batch = self._batch()
        atomic = self.scale * self.wrapped(batch.graph, False)["atomic_energies"].double()
        n_atoms = batch.labels.n_atoms.to(atomic.device)
        per_atom = by_structure(atomic, batch.graph.structure_index, len(self.walkers)) / n_atoms
        bounds = torch.tensor([walker.bound - margin for walker in self.walkers])
        below = (bounds.to(per_atom) - per_atom).clamp(min=0.0)  # (S,)
        is_finite = torch.isfinite(below)
        below = torch.where(is_finite, below, torch.zeros_like(below))
        return (_SOFT * torch.asinh(below / _SOFT)).mean()

    def _batch(self) -> Batch:
        cutoff = float(self.wrapped.cutoff)
        items = [prepare(walker.atoms, cutoff) for walker in self.walkers]
        return collate(items, self.baseline, cutoff, self.dtype, device=self.device)

    def _new(self, is_packed: bool) -> _Walker:
        """Return a structure for the pool: a box with atoms at random places, or a displaced one of the data."""
        candidates = [a for a in self.frames if a.pbc.all()] if is_packed else self.frames
        frame = candidates[int(self.rng.integers(len(candidates)))]
        composition = composition_of(frame.numbers)
        if is_packed:
            atoms = _packed(frame, composition, self.rng)
        else:
            atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc)
            atoms.positions += self.rng.uniform(0.1, 0.6) * self.rng.normal(size=(len(frame), 3))
        return _Walker(
            atoms, self.lowest.get(composition, -math.inf), int(self.rng.integers(*_AGES))
        )


def _packed(frame: Atoms, composition: Composition, rng: np.random.Generator) -> Atoms:
    """Return a small box of the composition of a frame, near its density, with atoms at random places.

    Atoms keep half of the sum of their covalent radii from each other where 50 attempts find such a place.
    """
    unit = [number for number, count in composition for _ in range(count)]
    numbers = rng.permutation(unit * max(1, round(_ATOMS / len(unit))))
    volume = rng.uniform(0.8, 1.3) * frame.cell.volume / len(frame) * len(numbers)
    edge = volume ** (1.0 / 3.0)
    places: list[np.ndarray] = []
    for number in numbers:
        for _ in range(50):
            place = edge * rng.random(3)
            if not places:
                break
            apart = np.array(places) - place
            apart -= edge * np.round(apart / edge)
            sums = covalent_radii[number] + covalent_radii[numbers[: len(places)]]
            if np.all(np.linalg.norm(apart, axis=1) > 0.5 * sums):
                break
        places.append(place)
    return Atoms(numbers, np.array(places), cell=[edge] * 3, pbc=True)
