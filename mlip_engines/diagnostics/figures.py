"""How all figures of the report look."""

from __future__ import annotations

import base64
import html
import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

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


def panels(n: int, *, height: float = 3.4) -> tuple[Figure, list[Axes]]:
    """Return a figure with n plots beside each other."""
    figure = Figure(figsize=(4.6 * n if n > 1 else 5.6, height), layout="constrained")
    return figure, [figure.add_subplot(1, n, k + 1) for k in range(n)]


def style_of(name: str) -> dict[str, Any]:
    """Colour, line and label of C, NC and strides, the same in all figures."""
    if name == "C":
        return {"color": "black", "lw": 1.6, "label": "C", "zorder": 3}
    if name == "NC":
        return {"color": "#cb181d", "lw": 1.4, "label": "NC"}
    stride = name.removeprefix("M")
    return {
        "color": _STRIDE_COLOURS.get(name, "0.5"),
        "lw": 1.2,
        "ls": "--",
        "label": f"M = {stride}",
    }


def png(figure: Figure) -> bytes:
    """Return a figure as the contents of a PNG file, of 128 colours: a third of the size, and no difference to see."""
    from PIL import Image  # comes with matplotlib

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110)
    Image.open(drawn).convert("RGB").quantize(128).save(small, format="png", optimize=True)
    return small.getvalue()


def image(contents: bytes, text: str) -> str:
    """Return an HTML image that holds a PNG file itself."""
    data = base64.b64encode(contents).decode()
    return f'<img alt="{html.escape(text)}" src="data:image/png;base64,{data}">'
