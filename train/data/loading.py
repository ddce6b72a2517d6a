"""Training structures made when they are asked for, in worker processes if there are any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

import torch
from ase import Atoms
from torch.utils.data import DataLoader
from tqdm import tqdm

from mlip_train.data.structure import TrainingStructure, prepare


class Selection(Sequence[Atoms]):
    """Some of the structures of a sequence, read when they are asked for."""

    def __init__(self, frames: Sequence[Atoms], indices: list[int]):
        self.frames, self.indices = frames, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, k: int) -> Atoms:
        return self.frames[self.indices[k]]


def _unshared(item: TrainingStructure) -> TrainingStructure:
    values = {f.name: getattr(item, f.name) for f in fields(item)}
    return TrainingStructure(
        **{name: v.clone() if isinstance(v, torch.Tensor) else v for name, v in values.items()}
    )


class PreparedStructures(Sequence[TrainingStructure]):
    """Structures with neighbour lists, either all kept in memory or each made anew when it is asked for.

    Parameters
    ----------
    frames : sequence of ase.Atoms
    cutoff : float, Å
    is_kept : bool
        A neighbour list takes some 20 bytes an edge: for 100,000 structures of 200 atoms with 50 neighbours, 20 GB.
    workers : int
        Processes that make neighbour lists beside this one.
    type_weights : mapping of str to float, optional
        Factors on terms of the loss by ``config_type``.
    """

    def __init__(
        self,
        frames: Sequence[Atoms],
        cutoff: float,
        *,
        is_kept: bool = True,
        workers: int = 0,
        type_weights: Mapping[str, float] | None = None,
    ):
        self.frames, self.cutoff, self.workers = frames, cutoff, workers
        self.type_weights = type_weights
        self.kept: list[TrainingStructure] | None = None
        if is_kept:
            batches = [[k] for k in range(len(frames))]
            # What a worker sends is shared memory, of which a process may hold only so many pieces.
            items = (item for batch in self.load(batches) for item in batch)
            self.kept = [_unshared(item) for item in items] if workers > 0 else list(items)

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, k: int) -> TrainingStructure:
        if self.kept is not None:
            return self.kept[k]
        return prepare(self.frames[k], self.cutoff, self.type_weights)

    def load(self, batches: list[list[int]]) -> Iterator[list[TrainingStructure]]:
        """Yield batches of structures by their indices, in this order, whatever the number of workers."""
        if self.kept is not None or self.workers == 0 or not batches:
            for batch in batches:
                yield [self[k] for k in batch]
            return
        # With a generator of its own, the loader leaves the random numbers of this process alone.
        yield from DataLoader(
            self,
            batch_sampler=batches,
            collate_fn=list,
            num_workers=self.workers,
            generator=torch.Generator(),
        )

    def n_atoms(self) -> list[int]:
        """Return the number of atoms of each structure."""
        return [len(self.frames[k]) for k in range(len(self))]

    def n_edges(self) -> list[int]:
        """Return the number of edges of each structure, those of the skin included; takes as long as the lists do."""
        bar = tqdm(
            total=len(self), desc="count edges", unit="structure", disable=self.kept is not None
        )
        counts = []
        with bar:
            for (item,) in self.load([[k] for k in range(len(self))]):
                counts.append(item.edge_index.shape[1])
                bar.update()
        return counts
