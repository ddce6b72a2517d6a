"""The tables of a comparison of robustness, from what its cells have left in a folder.

python benchmarks/robustness_table.py FOLDER
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mlip_engines.properties.proportion import wilson_interval
from mlip_engines.units import MEV_PER_EV

GPA = 160.21766208  # of eV/Å^3


def write_table(folder: Path) -> None:
    """Write ``table.md`` into a folder, from all ``cell.json`` in it."""
    cells = [json.loads(path.read_text()) for path in sorted(folder.glob("*/cell.json"))]
    if not cells:
        return
    cells.sort(key=lambda cell: (-cell["fraction"], cell["network"], WAYS.index(cell["way"])))
    judged = [cell for cell in cells if cell["judged"]]
    tables = errors_table(cells), counts_table(judged), sums_table(judged)
    text = "\n".join(line for lines in tables for line in [*lines, ""])
    (folder / "table.md").write_text(text)


WAYS = ["plain", "sam", "pretrained", "hybrid", "half", "coarse"]


def errors_table(cells: list[dict[str, Any]]) -> list[str]:
    """Return table 2: errors on the test structures, and angles to the forces of the empirical potential."""
    rows = []
    for cell in cells:
        e = cell["errors"]
        stress = "" if e["stress_mae"] is None else f"{GPA * e['stress_mae']:.2f}"
        judged = cell["judged"].get("none", {})
        angles = np.array(judged.get("angles_of_parts_degrees", judged.get("angles_degrees", [])))
        rows.append(
            [
                f"{cell['fraction']:g}",
                cell["network"],
                cell["way"],
                str(cell["steps"]),
                f"{MEV_PER_EV * e['energy_mae']:.1f}",
                f"{MEV_PER_EV * e['conservative_mae']:.0f}",
                stress,
                f"{np.median(angles):.0f}" if len(angles) else "",
                f"{100 * np.mean(angles > 90):.0f}" if len(angles) else "",
            ]
        )
    header = ["data", "network", "way", "steps", "E, meV/atom", "F, meV/Å", "stress, GPa"]
    return table([*header, "median angle, degrees", "above 90 degrees, %"], rows)


def counts_table(cells: list[dict[str, Any]]) -> list[str]:
    """Return table 1: how many trajectories failed."""
    rows = []
    for cell in cells:
        row = [f"{cell['fraction']:g}", cell["network"], cell["way"]]
        for ensemble in ("nvt", "npt"):
            row += [
                f"{count(cell, 'none', ensemble, kind)[0]}" for kind in ("overlap", "Lindemann")
            ]
            row.append(of_total(*count(cell, "none", ensemble, "any")))
        row += [of_total(*count(cell, "zbl", ensemble, "any")) for ensemble in ("nvt", "npt")]
        row.append(str(count(cell, "zbl", "nvt", "stopped")[0]))
        rows.append(row)
    header = ["data", "network", "way"]
    for ensemble in ("NVT", "NPT"):
        header += [f"{ensemble} overlap", "Lindemann", "any"]
    return table([*header, "with repulsion: NVT any", "NPT any", "NVT stopped"], rows)


def sums_table(cells: list[dict[str, Any]]) -> list[str]:
    """Return failures of all networks together by way and form, with 95 % intervals."""
    rows = []
    for fraction in sorted({cell["fraction"] for cell in cells}, reverse=True):
        for way in WAYS:
            chosen = [c for c in cells if c["fraction"] == fraction and c["way"] == way]
            if not chosen:
                continue
            row = [f"{fraction:g}", way, str(len(chosen))]
            for form in ("none", "zbl"):
                for ensemble in ("nvt", "npt"):
                    found = [count(c, form, ensemble, "any") for c in chosen]
                    n, total = (sum(values) for values in zip(*found, strict=True))
                    low, high = wilson_interval(n, total)
                    row.append(f"{n} of {total} ({100 * low:.0f} to {100 * high:.0f} %)")
            rows.append(row)
    header = ["data", "way", "networks", "NVT", "NPT"]
    return table([*header, "NVT with repulsion", "NPT with repulsion"], rows)


def count(cell: dict[str, Any], form: str, ensemble: str, kind: str) -> tuple[int, int]:
    """Return how many trajectories failed in a way, and of how many."""
    for row in cell["judged"][form]["counts"]:
        if row["ensemble"] == ensemble and row["failure"] == kind:
            return row["count"], row["of"]
    raise ValueError(f"expected {ensemble} {kind} among the counts of {cell}")


def of_total(n: int, total: int) -> str:
    """Return a count as words."""
    return f"{n} of {total}"


def table(header: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Return lines of a table in markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


if __name__ == "__main__":
    write_table(Path(sys.argv[1]))
    print((Path(sys.argv[1]) / "table.md").read_text())
