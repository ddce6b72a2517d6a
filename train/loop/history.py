"""The table of a run, one row a validation: ``metrics.csv``."""

from __future__ import annotations

import csv
import os
from pathlib import Path


def write_history(path: Path, rows: list[dict[str, str]]) -> None:
    """Write the table so that an interruption leaves the old one or the new one; without rows nothing is written."""
    if not rows:
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    draft = path.with_name(path.name + ".partial")
    with open(draft, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(draft, path)


def read_history(path: Path) -> list[dict[str, str]]:
    """Read the table of a run, an empty list if there is none yet."""
    if not path.is_file():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))
