"""The report: one HTML page with its figures inside, and the same numbers as JSON."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

from mlip_engines.diagnostics.catalogue import DIAGNOSTICS
from mlip_engines.diagnostics.figures import image, png
from mlip_engines.diagnostics.result import Result, Section, Table, as_json
from mlip_engines.diagnostics.verdict import ENGINE_NAMES, commands, verdict

SCHEMA = 1  # of report.json; anything that changes a meaning raises it

_STYLE = (
    "body{font-family:sans-serif;max-width:62em;margin:2em auto;padding:0 1em;line-height:1.4}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;text-align:right}"
    "td:first-child,th:first-child{text-align:left}tr{border-bottom:1px solid #ccc}"
    "pre{background:#f4f4f4;padding:1em;overflow-x:auto}img{max-width:100%}"
    ".verdict{background:#eef6ee;border-left:.4em solid #4a4;padding:.5em 1em}"
    ".warning{background:#fdf3e1;border-left:.4em solid #d80;padding:.3em 1em;margin:.5em 0}"
    "figcaption{color:#555;font-size:.9em}figure{margin:1em 0}"
)


def write_report(
    folder: Path,
    parts: dict[str, Result],
    engines: list[str],
    description: dict[str, Any],
    environment: dict[str, Any],
) -> dict[str, Any]:
    """Write ``report.html``, ``report.json`` and the figures of the page, ``figures/[ENGINE-]NAME-NUMBER.png``.

    Parameters
    ----------
    folder : Path
    parts : dict of str to Result
        ``NAME`` or ``ENGINE/NAME``, in the order to be shown.
    engines : list of str
    description : dict
        Of model, structure and settings; goes into both.
    environment : dict
        Versions.

    Returns
    -------
    dict
        What ``report.json`` holds.
    """
    sections = {key: _section(key, part) for key, part in parts.items()}
    answer = verdict(parts, engines)
    warnings = [
        {"part": key, "words": words}
        for key, section in sections.items()
        for words in section.warnings
    ]
    if description["settings"]["quick"]:
        warnings.insert(
            0,
            {
                "part": "",
                "words": "A quick look: trajectories of less than a picosecond from one start. Error bars are "
                "wide, and slow failures do not show. Leave out --quick before you rely on it.",
            },
        )
    data = as_json(
        {
            "schema": SCHEMA,
            **description,
            "environment": environment,
            "verdict": answer,
            "warnings": warnings,
            "parts": {key: part.values for key, part in parts.items()},
        }
    )
    (folder / "report.json").write_text(json.dumps(data, indent=1, allow_nan=False) + "\n")
    figures = {
        key: [(caption, png(figure)) for caption, figure in section.figures]
        for key, section in sections.items()
    }
    (folder / "figures").mkdir(exist_ok=True)
    for key, drawn in figures.items():
        for k, (_, contents) in enumerate(drawn, start=1):
            (folder / "figures" / f"{key.replace('/', '-')}-{k}.png").write_bytes(contents)
    page = _page(sections, figures, answer, warnings, description, environment)
    (folder / "report.html").write_text(page, encoding="utf-8")
    return data


def _section(key: str, part: Result) -> Section:
    """Render a part; one that cannot be drawn must not take the report of hours with it."""
    try:
        return DIAGNOSTICS[key.split("/")[-1]].render(part)
    except Exception as e:
        words = (
            f"This part cannot be shown ({type(e).__name__}: {e}); its numbers are in report.json."
        )
        return Section(warnings=[words])


def _page(
    sections: dict[str, Section],
    figures: dict[str, list[tuple[str, bytes]]],
    answer: dict[str, Any],
    warnings: list[dict[str, str]],
    description: dict[str, Any],
    environment: dict[str, Any],
) -> str:
    model, structure, settings = (description[key] for key in ("model", "structure", "settings"))
    title = f"{model['name']} on {structure['formula']}"
    body = [
        f"<h1>Validation of {html.escape(title)}</h1>",
        f"<p>{structure['n_atoms']} atoms of {html.escape(structure['file'])}; model {html.escape(model['name'])}, "
        f"{html.escape(', '.join(model['heads']))}, {html.escape(model['dtype'])}. "
        f"{settings['temperature_K']:g} K, inner step {settings['inner_step_fs']:g} fs.</p>",
        '<div class="verdict">',
        *(f"<p>{html.escape(words)}</p>" for words in answer["words"]),
    ]
    if not answer["words"]:
        body.append("<p>None of the parts that lead to a verdict were run.</p>")
    for engine, found in answer["engines"].items():
        body.append(
            f"<p>{ENGINE_NAMES[engine]}:</p><pre>{html.escape(commands(engine, found))}</pre>"
        )
    body.append("</div>")
    for warning in warnings:
        where = f"{warning['part']}: " if warning["part"] else ""
        body.append(f'<p class="warning">{html.escape(where + warning["words"])}</p>')
    for key, section in sections.items():
        engine, _, name = key.rpartition("/")
        suffix = f" in {ENGINE_NAMES[engine]}" if engine else ""
        body.append(f'<h2 id="{key}">{html.escape(DIAGNOSTICS[name].title + suffix)}</h2>')
        body += [f"<p>{html.escape(text)}</p>" for text in section.paragraphs]
        body += [_table(table) for table in section.tables]
        body += [
            f"<figure>{image(contents, caption)}<figcaption>{html.escape(caption)}</figcaption></figure>"
            for caption, contents in figures[key]
        ]
    body += [
        "<h2>Settings</h2>",
        f"<pre>{html.escape(json.dumps(description, indent=1))}</pre>",
        "<h2>Environment</h2>",
        f"<pre>{html.escape(json.dumps(environment, indent=1))}</pre>",
    ]
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(body)}</body></html>"
    )


def _table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.header)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in table.rows
    )
    return f"<table><tr>{head}</tr>{rows}</table>"
