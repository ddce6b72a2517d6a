"""The report of a relaxation: what happened to whom, as an HTML page and in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mlip_engines.report import elements
from mlip_engines.report.page import page

NC_WARNING = (
    "Non-conservative forces are not the gradient of an energy: where they vanish need not be a minimum of the energy, "
    "and an optimiser may go round in circles. Use conservative forces for structures that you will publish."
)
NO_SPGLIB = (
    "Space groups were not looked at, because spglib is not installed: pip install 'mlip-engines[phonons]', and run "
    "the same command again."
)
_LONGEST = 200  # rows of a table in a page; results.csv has all


def words(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return what happened, a sentence a line."""
    counts = Counter(row["status"] for row in rows)
    lines = [f"{counts.pop('relaxed', 0)} of {len(rows)} structures are relaxed."]
    lines += [f"{count} failed: {status}." for status, count in sorted(counts.items())]
    lost = sum(row["symmetry_lost"] == "yes" for row in rows)
    if lost:
        lines.append(f"{lost} have fewer symmetry operations than before: symmetry lost.")
    return lines


def report_page(
    rows: Sequence[dict[str, Any]], settings: dict[str, Any], warnings: Sequence[str]
) -> str:
    """Return the page.

    Parameters
    ----------
    rows : sequence of dict
        Of :func:`mlip_engines.relaxation.table.results_table`.
    settings : dict
        What ``relaxation.json`` holds.
    warnings : sequence of str
    """
    parts = [elements.heading("Relaxation", level=1)]
    parts.append(elements.verdict([elements.paragraph(line) for line in words(rows)]))
    parts += [elements.warning(text) for text in warnings]
    trouble = [row for row in rows if row["status"] != "relaxed" or row["symmetry_lost"]]
    if trouble:
        parts.append(elements.heading("Failures"))
        shown = [
            [
                str(row["index"]),
                row["formula"],
                row["status"] if row["status"] != "relaxed" else "symmetry lost",
                row["reason"] or _groups(row),
            ]
            for row in trouble[:_LONGEST]
        ]
        parts.append(elements.table(["index", "formula", "what", "why"], shown))
        parts += _cut(trouble)
    changes = Counter(_groups(row) for row in rows if row["space_group_before_0.1"])
    if changes:
        parts.append(elements.heading("Space groups"))
        shown = [[change, str(count)] for change, count in changes.most_common(_LONGEST)]
        parts.append(
            elements.table(["before → after, within 0.01 Å; within 0.1 Å", "structures"], shown)
        )
    parts.append(elements.heading("Structures"))
    names = [
        "index",
        "formula",
        "status",
        "steps",
        "energy_before_eV",
        "energy_after_eV",
        "largest_force_eV_per_angstrom",
        "rmsd_angstrom",
    ]
    header = ["index", "formula", "status", "steps", "E before, eV", "E after, eV"]
    header += ["largest force, eV/Å", "RMSD, Å"]
    parts.append(
        elements.table(header, [[_text(row[name]) for name in names] for row in rows[:_LONGEST]])
    )
    parts += _cut(rows)
    parts += [elements.heading("Settings"), elements.listing(settings)]
    return page("Relaxation", parts)


def _groups(row: dict[str, Any]) -> str:
    return "; ".join(
        f"{row[f'space_group_before_{t}'] or '-'} → {row[f'space_group_after_{t}'] or '-'}"
        for t in (0.01, 0.1)
    )


def _cut(rows: Sequence[Any]) -> list[str]:
    if len(rows) <= _LONGEST:
        return []
    return [elements.paragraph(f"{len(rows) - _LONGEST} more are in results.csv.")]


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
