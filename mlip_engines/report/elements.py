"""The elements of a page: plain text goes in, HTML comes out. Text is escaped here and nowhere else."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable
from typing import Any


def heading(text: str, *, level: int = 2, anchor: str = "") -> str:
    """Return a heading; a link to ``#anchor`` leads to it."""
    place = f' id="{html.escape(anchor)}"' if anchor else ""
    return f"<h{level}{place}>{html.escape(text)}</h{level}>"


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{html.escape(text)}</p>"


def warning(text: str) -> str:
    """Return a paragraph that stands out: something is not as it should be."""
    return f'<p class="warning">{html.escape(text)}</p>'


def verdict(elements: Iterable[str]) -> str:
    """Return a box around elements of this module: the answer that the reader came for."""
    return f'<div class="verdict">{"".join(elements)}</div>'


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table; the first column is aligned to the left, as names are, and the others to the right."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    lines = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows)
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def figure(png: bytes, caption: str) -> str:
    """Return a figure that holds the contents of a PNG file itself, with its caption."""
    data, text = base64.b64encode(png).decode(), html.escape(caption)
    image = f'<img alt="{text}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def code(text: str) -> str:
    """Return lines to be copied, as they are."""
    return f"<pre>{html.escape(text)}</pre>"


def listing(value: Any) -> str:
    """Return settings, versions and the like: what JSON can hold, indented."""
    return code(json.dumps(value, indent=1))
