"""Errors of forces on the atoms of each element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mlip_engines.labels.batch import Labels
from mlip_engines.units import MEV_PER_EV

_KINDS = ("conservative", "non_conservative")


@dataclass(frozen=True)
class ElementErrors:
    """Errors on the atoms of one element that have labels; None without such forces."""

    symbol: str
    n_atoms: int
    conservative_rmse: float | None  # eV/Å per component
    non_conservative_rmse: float | None  # eV/Å per component


@dataclass
class ElementSums:
    """Sums of squares over batches, by atomic number."""

    counts: Tensor = field(default_factory=lambda: torch.zeros(119, dtype=torch.int64))
    squares: dict[str, Tensor] = field(default_factory=dict)  # (119,) each, eV²/Å²

    def add(
        self, numbers: Tensor, labels: Labels, comparison: dict[str, tuple[Tensor, Tensor]]
    ) -> None:
        """Count a batch.

        Parameters
        ----------
        numbers : (N,) int64 tensor
            Atomic numbers of all atoms.
        labels : Labels
        comparison : dict
            As of :func:`mlip_engines.properties.errors.compare`, of the same batch.
        """
        known = numbers.cpu()[labels.forces_known.cpu()]  # (K,)
        if not any(kind in comparison for kind in _KINDS):
            return
        self.counts += torch.bincount(known, minlength=119)
        for kind in _KINDS:
            if kind not in comparison:
                continue
            reference, predicted = comparison[kind]  # (3 K,) each
            own = (predicted - reference).square().reshape(-1, 3).sum(dim=1)  # (K,)
            sums = self.squares.setdefault(kind, torch.zeros(119, dtype=torch.float64))
            sums.index_add_(0, known, own.double())

    def errors(self) -> list[ElementErrors]:
        """Return the errors of each element with labels, in the order of atomic numbers."""
        from ase.data import chemical_symbols

        found = []
        for number in self.counts.nonzero().flatten().tolist():
            count = int(self.counts[number])
            rmse = {k: float(s[number] / (3 * count)) ** 0.5 for k, s in self.squares.items()}
            found.append(
                ElementErrors(
                    chemical_symbols[number],
                    count,
                    rmse.get("conservative"),
                    rmse.get("non_conservative"),
                )
            )
        return found


def element_rows(errors: Sequence[ElementErrors]) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a table, in meV."""
    rows = [
        [e.symbol, str(e.n_atoms), *map(_mev, (e.conservative_rmse, e.non_conservative_rmse))]
        for e in errors
    ]
    return ["element", "atoms", "C RMSE, meV/Å", "NC RMSE, meV/Å"], rows


def _mev(value: float | None) -> str:
    return "-" if value is None else f"{MEV_PER_EV * value:.3f}"
