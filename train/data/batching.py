"""Structures to one graph with a structure index, perturbed on request."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mlip_engines.labels.batch import Labels
from mlip_engines.model.contract import STRUCTURE_INPUTS
from mlip_engines.model.graph import Graph, graph_to_device
from mlip_train.data.pairs import Pairs, with_undisplaced
from mlip_train.data.structure import PERTURBATION_SKIN, TrainingStructure


@dataclass(frozen=True)
class Batch:
    """Several structures as one disconnected graph, and their labels; perturbed copies have none."""

    graph: Graph  # with the structure of each atom; edge vectors in the dtype of the network
    labels: Labels  # energies without the baseline
    # Å; if positive, the second half of the structures is the first half, perturbed
    perturbation: float
    pairs: Pairs | None = None  # of displaced copies and what they are copies of

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch with all its tensors on a device; where training leaves the CPU, it does so here."""
        pairs = None if self.pairs is None else self.pairs.to(device, self.labels.forces.dtype)
        labels = self.labels.to(device)
        return Batch(graph_to_device(self.graph, device), labels, self.perturbation, pairs)


def collate(
    structures: list[TrainingStructure],
    baseline: Tensor,
    cutoff: float,
    dtype: torch.dtype,
    displacements: list[Tensor] | None = None,
    perturbation: float = 0.0,
    *,
    with_pairs: bool = False,
    device: torch.device | str = "cpu",
) -> Batch:
    """Join structures; with displacements, append a displaced copy of each, its graph up to date and without labels.

    Parameters
    ----------
    structures : list of TrainingStructure
    baseline : (119,) tensor, eV
        Reference energy by atomic number.
    cutoff : float, Å
    dtype : torch.dtype
        Of edge vectors and force labels.
    displacements : list of (N, 3) tensors, Å
        Each at most half of :data:`mlip_train.data.structure.PERTURBATION_SKIN` long.
    perturbation : float, Å
        Standard deviation of the displacements.
    with_pairs : bool
        Append what displaced copies among the structures are copies of, so that changes can be compared.
    device : torch.device or str
        Where the batch shall be; it is made on the CPU.
    """
    pairs = None
    if with_pairs:
        structures, pairs = with_undisplaced(structures)
    moves: list[Tensor | None] = [None] * len(structures)
    if displacements is not None:
        moves, structures = [*moves, *displacements], structures * 2
    edges, vectors, reverse, offset, edge_offset = [], [], [], 0, 0
    energies, forces, has_energy, has_forces = [], [], [], []
    virials, volumes, has_stress = [], [], []
    for item, moved in zip(structures, moves, strict=True):
        positions = item.positions
        if moved is not None:
            limit = 0.5 * PERTURBATION_SKIN
            length = moved.norm(dim=1, keepdim=True).clamp(min=1e-12)
            positions = positions + moved * (limit / length).clamp(max=1.0)
        i, j = item.edge_index.long()
        vector = positions[j] - positions[i] + item.cell_shifts.to(positions.dtype) @ item.cell
        inside = (vector * vector).sum(dim=1) < cutoff * cutoff
        renumbered = torch.cumsum(inside, 0) - 1  # (E,) position of a kept edge
        edges.append(torch.stack((i, j))[:, inside] + offset)
        vectors.append(vector[inside])
        reverse.append(renumbered[item.reverse_edge.long()[inside]] + edge_offset)
        offset += len(positions)
        edge_offset += int(inside.sum())
        has_energy.append(moved is None and item.energy is not None)
        has_forces.append(moved is None and item.forces is not None)
        energies.append(
            item.energy - float(baseline[item.atomic_numbers].sum()) if has_energy[-1] else 0.0
        )
        forces.append(item.forces if has_forces[-1] else torch.zeros(positions.shape))
        volumes.append(item.volume)
        has_stress.append(moved is None and item.stress is not None)
        zero = torch.zeros((3, 3), dtype=torch.float64)
        virials.append(-volumes[-1] * item.stress.double() if has_stress[-1] else zero)
    n_atoms = torch.tensor([len(item.positions) for item in structures])
    graph = Graph(
        atomic_numbers=torch.cat([item.atomic_numbers for item in structures]),
        edge_index=torch.cat(edges, dim=1),
        edge_vectors=torch.cat(vectors).to(dtype),
        reverse_edge=torch.cat(reverse),
        owned=torch.ones(offset, dtype=torch.bool),
        structure_index=torch.repeat_interleave(torch.arange(len(structures)), n_atoms),
        **_structure_inputs(structures),
    )
    labels = Labels(
        n_atoms=n_atoms,
        energies=torch.tensor(energies, dtype=torch.float64),
        forces=torch.cat(forces).to(dtype),
        virials=torch.stack(virials),
        volumes=torch.tensor(volumes, dtype=torch.float64),
        has_energy=torch.tensor(has_energy),
        has_forces=torch.tensor(has_forces),
        has_stress=torch.tensor(has_stress),
        weights=torch.tensor([item.weights for item in structures], dtype=torch.float64),
    )
    length = perturbation if displacements is not None else 0.0
    return Batch(graph, labels, length, pairs).to(device)


def _structure_inputs(structures: list[TrainingStructure]) -> dict[str, Tensor]:
    """Return total charges and spin multiplicities (B,), those that all structures have."""
    return {
        name: torch.tensor([item.inputs[name] for item in structures], dtype=torch.float64)
        for name in STRUCTURE_INPUTS
        if all(name in item.inputs for item in structures)
    }
