"""Errors of single structures, and of the kinds of structures in a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from mlip_engines.labels.batch import Labels
from mlip_engines.units import MEV_PER_EV

WORST = 5  # structures shown of each quantity


@dataclass(frozen=True)
class StructureErrors:
    """Errors of one structure; None where there is no label."""

    energy: float | None  # eV/atom, of the prediction minus the label
    force_rmse: float | None  # eV/Å per component, of conservative forces
    n_components: int  # of forces with labels


@dataclass(frozen=True)
class KindErrors:
    """Errors of all structures of one ``config_type``; None where there are no labels."""

    name: str  # empty for those without
    n_structures: int
    energy_rmse: float | None  # eV/atom
    force_rmse: float | None  # eV/Å per component


@dataclass(frozen=True)
class NamedErrors:
    """Errors of one structure with what it is called."""

    kind: str
    place: str
    errors: StructureErrors


def errors_by_structure(
    labels: Labels, comparison: dict[str, tuple[Tensor, Tensor]]
) -> list[StructureErrors]:
    """Return the errors of each structure of a batch.

    Parameters
    ----------
    labels : Labels
    comparison : dict
        As of :func:`mlip_engines.properties.errors.compare`, of the same batch.
    """
    energy = iter(_difference(comparison, "energy").tolist())
    forces, start = _difference(comparison, "conservative"), 0
    found = []
    for has_energy, has_forces, n_atoms in zip(
        labels.has_energy.tolist(), labels.has_forces.tolist(), labels.n_atoms.tolist(), strict=True
    ):
        count = 3 * n_atoms if has_forces and len(forces) else 0
        own = forces[start : start + count]
        start += count
        found.append(
            StructureErrors(
                next(energy) if has_energy else None,
                float(np.sqrt(np.mean(own**2))) if count else None,
                count,
            )
        )
    return found


def _difference(comparison: dict[str, tuple[Tensor, Tensor]], name: str) -> np.ndarray:
    if name not in comparison:
        return np.zeros(0)
    reference, predicted = comparison[name]
    return (predicted - reference).numpy()


def errors_by_kind(structures: Sequence[NamedErrors]) -> list[KindErrors]:
    """Return the errors of each ``config_type``, in the order of the names."""
    found = []
    for kind in sorted({each.kind for each in structures}):
        own = [each.errors for each in structures if each.kind == kind]
        energies = np.array([e.energy for e in own if e.energy is not None])
        squares = sum(e.n_components * e.force_rmse**2 for e in own if e.force_rmse is not None)
        count = sum(e.n_components for e in own)
        found.append(
            KindErrors(
                kind,
                len(own),
                float(np.sqrt(np.mean(energies**2))) if len(energies) else None,
                float(np.sqrt(squares / count)) if count else None,
            )
        )
    return found


def kind_rows(structures: Sequence[NamedErrors]) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a table of kinds, in meV."""
    rows = [
        [k.name or "(none)", str(k.n_structures), _mev(k.energy_rmse), _mev(k.force_rmse)]
        for k in errors_by_kind(structures)
    ]
    return ["config_type", "structures", "energy RMSE, meV/atom", "force RMSE, meV/Å"], rows


def worst_rows(structures: Sequence[NamedErrors]) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a table of the structures with the largest errors, in meV."""
    by_force = sorted(structures, key=lambda each: -(each.errors.force_rmse or 0.0))[:WORST]
    by_energy = sorted(structures, key=lambda each: -abs(each.errors.energy or 0.0))[:WORST]
    chosen = list(dict.fromkeys([*by_force, *by_energy]))
    rows = [[e.place, e.kind, _mev(e.errors.energy), _mev(e.errors.force_rmse)] for e in chosen]
    return ["worst structures", "config_type", "energy, meV/atom", "force RMSE, meV/Å"], rows


def _mev(value: float | None) -> str:
    return "-" if value is None else f"{MEV_PER_EV * value:.3f}"


def as_text(header: list[str], rows: list[list[str]]) -> str:
    """Return a table as lines for a terminal; the first column is aligned to the left."""
    widths = [max(len(row[k]) for row in [header, *rows]) + 2 for k in range(len(header))]
    return "\n".join(
        row[0].ljust(widths[0])
        + "".join(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))
        for row in [header, *rows]
    )
