"""A line of numbers about each structure, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ase import Atoms

from mlip_engines.relaxation.displacement import root_mean_square_displacement
from mlip_engines.relaxation.relaxed import Relaxed
from mlip_engines.relaxation.space_group import TOLERANCES, can_find_space_groups, space_group


def results_table(structures: Sequence[Atoms], finished: Sequence[Relaxed]) -> list[dict[str, Any]]:
    """Return a row for each structure; what does not apply is an empty string.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        As they were given.
    finished : sequence of Relaxed
    """
    with_groups = can_find_space_groups()
    return [_row(structures[each.index], each, with_groups=with_groups) for each in finished]


def _row(before: Atoms, each: Relaxed, *, with_groups: bool) -> dict[str, Any]:
    evaluated = each.atoms.calc is not None
    row = {
        "index": each.index,
        "formula": before.get_chemical_formula(),
        "status": each.failure or "relaxed",
        "steps": each.steps,
        "energy_before_eV": _known(each.energy_before),
        "energy_after_eV": _known(each.energy_after),
        "largest_force_eV_per_angstrom": _known(each.largest_force),
        "rmsd_angstrom": root_mean_square_displacement(before, each.atoms) if evaluated else "",
        "volume_before_A3": before.get_volume() if before.cell.rank == 3 else "",
        "volume_after_A3": each.atoms.get_volume() if before.cell.rank == 3 else "",
    }
    lost = False
    for tolerance in TOLERANCES:
        first = space_group(before, tolerance) if with_groups else None
        last = space_group(each.atoms, tolerance) if with_groups and evaluated else None
        row[f"space_group_before_{tolerance}"] = "" if first is None else str(first)
        row[f"space_group_after_{tolerance}"] = "" if last is None else str(last)
        if first is not None and evaluated:
            lost = lost or last is None or last.n_operations < first.n_operations
    row["symmetry_lost"] = "yes" if lost else ""
    row["reason"] = each.reason
    return row


def _known(value: float) -> float | str:
    return value if value == value else ""
