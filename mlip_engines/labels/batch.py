"""Labels of several structures together, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from torch import Tensor


@dataclass(frozen=True)
class Labels:
    """What S structures with N atoms together are labelled with; zeros where there is no label."""

    n_atoms: Tensor  # (S,) int64
    energies: Tensor  # (S,) eV, float64
    forces: Tensor  # (N, 3) eV/Å
    virials: Tensor  # (S, 3, 3) eV, -V times the stress, float64
    volumes: Tensor  # (S,) Å^3, float64; 0 without periodicity in all three directions
    has_energy: Tensor  # (S,) bool
    has_forces: Tensor  # (S,) bool
    has_stress: Tensor  # (S,) bool
    weights: Tensor  # (S, 3) float64, of energy, forces and stress in a loss; errors do without

    @cached_property
    def structure_index(self) -> Tensor:
        """The structure (N,) of each atom."""
        of_each = torch.arange(self.n_atoms.numel(), device=self.n_atoms.device)
        return torch.repeat_interleave(of_each, self.n_atoms)

    @property
    def forces_known(self) -> Tensor:
        """Whether each atom (N,) has a label of its force."""
        return self.has_forces[self.structure_index]

    def to(self, device: torch.device | str) -> Labels:
        """Return the labels with all tensors on a device."""
        values = (getattr(self, f.name) for f in fields(self))
        return Labels(*(value.to(device, non_blocking=True) for value in values))


def labels_of(structures: Sequence[Atoms]) -> Labels:
    """Return the labels of structures, each with any of energy, forces and stress, all with weight 1.

    A stress counts where the structure is periodic in all three directions.
    """
    results = [{} if atoms.calc is None else atoms.calc.results for atoms in structures]
    is_periodic = [bool(atoms.pbc.all()) for atoms in structures]
    volumes = [
        atoms.get_volume() if full else 0.0
        for atoms, full in zip(structures, is_periodic, strict=True)
    ]
    has_stress = [
        full and "stress" in labels for labels, full in zip(results, is_periodic, strict=True)
    ]
    stresses = [
        voigt_6_to_full_3x3_stress(labels["stress"]) if has else np.zeros((3, 3))
        for labels, has in zip(results, has_stress, strict=True)
    ]
    volumes = torch.tensor(volumes, dtype=torch.float64)
    return Labels(
        n_atoms=torch.tensor([len(atoms) for atoms in structures]),
        energies=torch.tensor(
            [float(labels.get("energy", 0.0)) for labels in results], dtype=torch.float64
        ),
        forces=torch.from_numpy(
            np.concatenate(
                [
                    labels.get("forces", np.zeros((len(atoms), 3)))
                    for atoms, labels in zip(structures, results, strict=True)
                ]
            )
        ),
        virials=-volumes[:, None, None] * torch.from_numpy(np.stack(stresses)),
        volumes=volumes,
        has_energy=torch.tensor(["energy" in labels for labels in results]),
        has_forces=torch.tensor(["forces" in labels for labels in results]),
        has_stress=torch.tensor(has_stress),
        weights=torch.ones((len(structures), 3), dtype=torch.float64),
    )
