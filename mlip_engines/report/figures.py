"""Figures of a report, by matplotlib, which is imported when the first one is drawn."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def panels(n: int, *, height: float = 3.4) -> tuple[Figure, list[Axes]]:
    """Return a figure with n plots beside each other; its height is in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * n if n > 1 else 5.6, height), layout="constrained")
    return figure, [figure.add_subplot(1, n, k + 1) for k in range(n)]


def png(figure: Figure) -> bytes:
    """Return a figure as the contents of a PNG file, of 128 colours: a third of the size, and no difference to see."""
    from PIL import Image  # comes with matplotlib

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110)
    Image.open(drawn).convert("RGB").quantize(128).save(small, format="png", optimize=True)
    return small.getvalue()
