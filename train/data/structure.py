"""Structures, with or without labels, and their neighbour lists, ready to be batched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from mlip_engines.labels.undisplaced import undisplaced
from mlip_engines.model.neighbors import neighbor_graph
from mlip_engines.model.structure_inputs import numbers_from_info
from mlip_train.data.weights import weights_of

# Neighbour lists reach this much beyond the cutoff, so that perturbed atoms find theirs. Å
PERTURBATION_SKIN = 0.4


@dataclass(frozen=True)
class TrainingStructure:
    """One structure, its labels if any, and every edge that a small perturbation can bring into the cutoff."""

    atomic_numbers: Tensor  # (N,) int64
    positions: Tensor  # (N, 3) Å, float64
    cell: Tensor  # (3, 3) Å, rows are lattice vectors
    energy: float | None  # eV; None without this label
    forces: Tensor | None  # (N, 3) eV/Å, float32; None without this label
    stress: Tensor | None  # (3, 3) eV/Å^3, ASE's sign; None without label or full periodicity
    edge_index: Tensor  # (2, E) int32, sorted by centre
    cell_shifts: Tensor  # (E, 3) int8, or int32 where atoms are unwrapped over many cells
    reverse_edge: Tensor  # (E,) int32
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)  # of energy, forces, stress in the loss
    inputs: Mapping[str, float] = field(default_factory=dict)  # total charge, spin multiplicity
    undisplaced_positions: Tensor | None = None  # (N, 3) Å, float64; of a displaced copy
    undisplaced_forces: Tensor | None = None  # (N, 3) eV/Å, float64, labels there

    @property
    def is_labelled(self) -> bool:
        """Whether there is any label."""
        return not (self.energy is None and self.forces is None and self.stress is None)

    @property
    def volume(self) -> float:
        """Volume of the cell, Å^3; 0 without periodicity in all three directions."""
        return float(torch.linalg.det(self.cell).abs())


def prepare(
    atoms: Atoms, cutoff: float, type_weights: Mapping[str, float] | None = None
) -> TrainingStructure:
    """Build the neighbour list of one structure, cutoff plus :data:`PERTURBATION_SKIN`.

    ``type_weights`` are factors on its terms of the loss by ``config_type``.
    """
    graph = neighbor_graph(atoms, cutoff + PERTURBATION_SKIN)
    positions = torch.tensor(atoms.positions, dtype=torch.float64)
    cell = torch.tensor(np.where(atoms.pbc[:, None], atoms.cell.array, 0.0))
    i, j = graph.edge_index
    offsets = graph.edge_vectors - (positions[j] - positions[i])  # (E, 3), lattice vectors
    shifts = torch.round(offsets @ torch.linalg.pinv(cell))  # (E, 3)
    # Trajectories that are not wrapped go further than the 127 cells of the small type.
    is_small = shifts.numel() == 0 or float(shifts.abs().max()) <= torch.iinfo(torch.int8).max
    shift_type = torch.int8 if is_small else torch.int32
    before = undisplaced(atoms)
    energy = forces = stress = None
    if atoms.calc is not None:
        if "energy" in atoms.calc.results:
            energy = float(atoms.get_potential_energy())
        if "forces" in atoms.calc.results:
            forces = torch.tensor(atoms.get_forces(apply_constraint=False), dtype=torch.float32)
        if "stress" in atoms.calc.results and atoms.pbc.all():
            stress = torch.tensor(
                atoms.get_stress(voigt=False, apply_constraint=False), dtype=torch.float64
            )
    return TrainingStructure(
        atomic_numbers=torch.tensor(atoms.numbers, dtype=torch.int64),
        positions=positions,
        cell=cell,
        energy=energy,
        forces=forces,
        stress=stress,
        edge_index=graph.edge_index.int(),
        cell_shifts=shifts.to(shift_type),
        reverse_edge=graph.reverse_edge.int(),
        weights=weights_of(atoms, type_weights),
        inputs=numbers_from_info(atoms.info),
        undisplaced_positions=None if before is None else torch.tensor(before.positions),
        undisplaced_forces=None if before is None else torch.tensor(before.forces),
    )
