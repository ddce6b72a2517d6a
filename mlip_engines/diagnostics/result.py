"""What a diagnostic found, and how it is shown."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class Result:
    """Numbers of one diagnostic.

    Parameters
    ----------
    values : dict
        What JSON can hold; units are in the names.
    arrays : dict of str to array
        Raw series, units in the names.
    """

    values: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write ``path.npz``, then ``path.json``: a result is there when the latter is."""
        draft = path.with_suffix(".draft")
        with draft.open("wb") as file:
            np.savez_compressed(file, **self.arrays)
        draft.replace(path.with_suffix(".npz"))
        draft.write_text(json.dumps(as_json(self.values), indent=1, allow_nan=False) + "\n")
        draft.replace(path.with_suffix(".json"))

    @classmethod
    def load(cls, path: Path) -> Result:
        """Read what :meth:`save` wrote."""
        values = json.loads(path.with_suffix(".json").read_text())
        with np.load(path.with_suffix(".npz")) as data:
            return cls(values, {name: data[name] for name in data.files})


def as_json(value: Any) -> Any:
    """Return plain numbers and lists; what is not finite becomes null, as JSON has it."""
    if isinstance(value, dict):
        return {str(k): as_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(v) for v in value]
    if isinstance(value, np.ndarray):
        return as_json(value.tolist())
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value


@dataclass
class Table:
    """Rows of text under a header."""

    header: list[str]
    rows: list[list[str]]


@dataclass
class Section:
    """A part of the report: plain text, no HTML.

    Parameters
    ----------
    paragraphs : list of str
    tables : list of Table
    figures : list of (caption, matplotlib.figure.Figure)
    warnings : list of str
        Shown at the head of the report, with the name of the part.
    """

    paragraphs: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[tuple[str, Figure]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
