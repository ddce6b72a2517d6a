"""How C, NC and strides are called and drawn, the same in all tables and figures."""

from __future__ import annotations

from typing import Any

_STRIDE_COLOURS = {
    "M2": "#6baed6",
    "M3": "#4292c6",
    "M4": "#08519c",
    "M5": "#74c476",
    "M6": "#41ab5d",
    "M7": "#238b45",
    "M8": "#6a51a3",
    "M10": "#9e9ac8",
    "M12": "#fdae6b",
    "M16": "#e6550d",
}


def label_of(name: str) -> str:
    """Return what the reader sees of the name of a kind of forces: C, NC, or M = 4 for M4."""
    return f"M = {name[1:]}" if name.startswith("M") else name


def style_of(name: str) -> dict[str, Any]:
    """Colour, line and label of a kind of forces, as matplotlib takes them."""
    if name == "C":
        return {"color": "black", "lw": 1.6, "label": "C", "zorder": 3}
    if name == "NC":
        return {"color": "#cb181d", "lw": 1.4, "label": "NC"}
    colour = _STRIDE_COLOURS.get(name, "0.5")
    return {"color": colour, "lw": 1.2, "ls": "--", "label": label_of(name)}
