"""Denoising: from a structure whose atoms were moved at random, the head for forces tells where they came from.

At an equilibrium the way back is the direction of the force, which is how a network learns about forces without labels
of them (Zaidi et al., "Pre-training via denoising for molecular property prediction", ICLR 2023, arXiv:2206.00133).
Away from equilibrium the way back is not determined by the moved structure alone. A network that is also given the
forces of the structure before it was moved can find it (DeNS: Liao, Smidt, Shuaibi, Das, "Generalizing denoising to
non-equilibrium structures improves equivariant force fields", arXiv:2403.09549).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from ase import Atoms
from torch import Tensor, nn

from mlip_engines.model.prediction import without_net_force
from mlip_train.data.batching import Batch
from mlip_train.data.structure import TrainingStructure, prepare


def moved(structure: TrainingStructure, displacement: Tensor, cutoff: float) -> TrainingStructure:
    """Return the structure with its atoms moved by (N, 3) Å, with neighbours of its own and without labels."""
    atoms = Atoms(
        structure.atomic_numbers.numpy(),
        (structure.positions + displacement).numpy(),
        cell=structure.cell.numpy(),
        # directions without periodicity have no lattice vector, see mlip_train.data.structure.prepare
        pbc=(structure.cell.abs().sum(dim=1) > 0.0).tolist(),
    )
    return replace(prepare(atoms, cutoff), inputs=structure.inputs)


def noisy(
    structures: list[TrainingStructure], noise: float, cutoff: float, generator: torch.Generator
) -> tuple[list[TrainingStructure], Tensor]:
    """Return structures whose atoms were moved at random, and what the head shall say of them.

    Parameters
    ----------
    structures : list of TrainingStructure
    noise : float, Å
        Standard deviation of each coordinate.
    cutoff : float, Å
    generator : torch.Generator

    Returns
    -------
    moved : list of TrainingStructure
    target : (N, 3) tensor
        The way back in units of the noise, as a force would point. Of a structure as a whole it has no net part.
    """
    targets, found = [], []
    for structure in structures:
        shape = structure.positions.shape
        normal = torch.randn(shape, generator=generator, dtype=torch.float64)
        found.append(moved(structure, noise * normal, cutoff))
        targets.append(normal.mean(dim=0) - normal)
    return found, torch.cat(targets)


def given_forces(structures: list[TrainingStructure], scale: float) -> Tensor:
    """Return the labels of forces (N, 3) in the unit of the network, zero where a structure has none."""
    return torch.cat(
        [
            torch.zeros(s.positions.shape) if s.forces is None else s.forces / scale
            for s in structures
        ]
    )


def denoising_loss(
    network: nn.Module, batch: Batch, target: Tensor, forces: Tensor | None = None
) -> Tensor:
    """Return the mean square per component of what the head says minus the target; 1 for a head that says nothing.

    Parameters
    ----------
    network : nn.Module
        With a head for non-conservative forces.
    batch : Batch
        Of structures from :func:`noisy`.
    target : (N, 3) tensor
    forces : (N, 3) tensor, optional
        For a network with ``force_encoding``: of the structures before they were moved.
    """
    vectors = batch.graph.edge_vectors
    if forces is not None:
        network.encoded_forces = forces.to(vectors.device, vectors.dtype)
    try:
        found = network.non_conservative(batch.graph)["non_conservative_forces"]
    finally:
        if forces is not None:
            network.encoded_forces = None
    found = without_net_force(found, batch.graph.structure_index, batch.labels.n_atoms)
    return (found.double() - target.to(found.device)).square().mean()
