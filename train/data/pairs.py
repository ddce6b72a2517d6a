"""Pairs of labelled structures, a displaced copy and what it is a copy of: how the labels change in between."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mlip_train.data.structure import TrainingStructure


@dataclass(frozen=True)
class Pairs:
    """The atoms of all pairs of a batch."""

    displaced: Tensor  # (P,) index of an atom of a copy
    undisplaced: Tensor  # (P,) index of the same atom before it was displaced
    change: Tensor  # (P, 3) eV/Å, of the labelled forces over the displacement
    length: Tensor  # (P, 1) Å, root mean square of a component of the displacement of its structure

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Pairs:
        """Return the pairs on a device, with forces and lengths in a dtype."""
        return Pairs(
            self.displaced.to(device),
            self.undisplaced.to(device),
            self.change.to(device, dtype),
            self.length.to(device, dtype),
        )


def with_undisplaced(
    structures: list[TrainingStructure],
) -> tuple[list[TrainingStructure], Pairs | None]:
    """Append to some structures what the displaced copies among them are copies of.

    What is appended has no labels: it counts by the change of forces alone.

    Returns
    -------
    structures : list of TrainingStructure
    pairs : Pairs or None
        Of the structures in this order; None if no structure is a copy.
    """
    starts = np.cumsum([0, *(len(item.positions) for item in structures)])
    end, before = int(starts[-1]), []
    displaced, before_atoms, changes, lengths = [], [], [], []
    for start, item in zip(starts.tolist(), structures, strict=False):
        if item.undisplaced_positions is None or item.forces is None:
            continue
        count = len(item.positions)
        length = (item.positions - item.undisplaced_positions).pow(2).mean().sqrt()
        if not length > 0.0:
            continue
        displaced.append(torch.arange(start, start + count))
        before_atoms.append(torch.arange(end, end + count))
        changes.append(item.forces.double() - item.undisplaced_forces)
        lengths.append(length.expand(count, 1))
        before.append(
            replace(
                item,
                positions=item.undisplaced_positions,
                energy=None,
                forces=None,
                stress=None,
                undisplaced_positions=None,
                undisplaced_forces=None,
            )
        )
        end += count
    if not before:
        return structures, None
    columns = (torch.cat(each) for each in (displaced, before_atoms, changes, lengths))
    return [*structures, *before], Pairs(*columns)
