"""A page of its own: elements under one title, in one style."""

from __future__ import annotations

import html
from collections.abc import Iterable

_STYLE = (
    "body{font-family:sans-serif;max-width:62em;margin:2em auto;padding:0 1em;line-height:1.4}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;text-align:right}"
    "td:first-child,th:first-child{text-align:left}tr{border-bottom:1px solid #ccc}"
    "pre{background:#f4f4f4;padding:1em;overflow-x:auto}img{max-width:100%}"
    ".verdict{background:#eef6ee;border-left:.4em solid #4a4;padding:.5em 1em}"
    ".warning{background:#fdf3e1;border-left:.4em solid #d80;padding:.3em 1em;margin:.5em 0}"
    "figcaption{color:#555;font-size:.9em}figure{margin:1em 0}"
)


def page(title: str, elements: Iterable[str]) -> str:
    """Return a whole HTML page.

    Parameters
    ----------
    title : str
        What the browser shows; a heading is an element.
    elements : iterable of str
        What the functions of :mod:`mlip_engines.report.elements` returned, in order.
    """
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(elements)}</body></html>"
    )
