"""The report: one HTML page with its figures inside, and the same numbers as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlip_engines.diagnostics.diagnostic import Diagnostic, Results
from mlip_engines.diagnostics.result import Result, Section, as_json
from mlip_engines.diagnostics.verdict import commands, engine_title, verdict
from mlip_engines.report import elements
from mlip_engines.report.figures import png
from mlip_engines.report.page import page

SCHEMA = 1  # of report.json; anything that changes a meaning raises it
QUICK_LOOK = (
    "This is a quick look: each trajectory is shorter than a picosecond, and there is one of each kind. Error bars "
    "are wide, and slow failures do not show. Run without --quick before you rely on the model."
)
TERMS = (
    "C: conservative forces, minus the gradient of the energy. NC: non-conservative forces, which the model predicts "
    "directly. M: r-RESPA with M inner steps of NC forces per outer step, after which C - NC is applied. Drift: slope "
    "of the conserved energy against time."
)


def write_report(
    folder: Path,
    parts: Results,
    diagnostics: Mapping[str, Diagnostic],
    description: dict[str, Any],
    environment: dict[str, Any],
) -> dict[str, Any]:
    """Write ``report.html``, ``report.json`` and the figures of the page, ``figures/[ENGINE-]NAME-NUMBER.png``.

    Parameters
    ----------
    folder : Path
    parts : dict of str to Result
        ``NAME`` or ``ENGINE/NAME``, in the order to be shown.
    diagnostics : mapping of str to Diagnostic
        By name, for all parts.
    description : dict
        Of model, structure and settings; goes into both.
    environment : dict
        Versions.

    Returns
    -------
    dict
        What ``report.json`` holds.
    """
    sections = {key: _section(diagnostics[key.split("/")[-1]], p) for key, p in parts.items()}
    answer = verdict(parts, diagnostics)
    warnings = [
        {"part": key, "words": words}
        for key, section in sections.items()
        for words in section.warnings
    ]
    if description["settings"]["quick"]:
        warnings.insert(0, {"part": "", "words": QUICK_LOOK})
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
    _write_figures(folder / "figures", figures)
    title = f"{description['model']['name']} on {description['structure']['formula']}"
    body = _head(title, answer, warnings, description)
    for key, section in sections.items():
        engine, _, name = key.rpartition("/")
        suffix = f" in {engine_title(engine)}" if engine else ""
        body.append(elements.heading(diagnostics[name].title + suffix, anchor=key))
        body += [elements.paragraph(text) for text in section.paragraphs]
        body += [elements.table(table.header, table.rows) for table in section.tables]
        body += [elements.figure(contents, caption) for caption, contents in figures[key]]
    body += [elements.heading("Settings"), elements.listing(description)]
    body += [elements.heading("Environment"), elements.listing(environment)]
    (folder / "report.html").write_text(page(title, body), encoding="utf-8")
    return data


def _section(diagnostic: Diagnostic, part: Result) -> Section:
    """Render a part; one that cannot be drawn must not take the report of hours with it."""
    try:
        return diagnostic.render(part)
    except Exception as e:
        words = (
            f"This part cannot be shown ({type(e).__name__}: {e}); its numbers are in report.json."
        )
        return Section(warnings=[words])


def _write_figures(folder: Path, figures: dict[str, list[tuple[str, bytes]]]) -> None:
    folder.mkdir(exist_ok=True)
    for key, drawn in figures.items():
        for k, (_, contents) in enumerate(drawn, start=1):
            (folder / f"{key.replace('/', '-')}-{k}.png").write_bytes(contents)


def _head(
    title: str,
    answer: dict[str, Any],
    warnings: list[dict[str, str]],
    description: dict[str, Any],
) -> list[str]:
    """Return what was validated, the answer with what to type, and warnings."""
    model, structure, settings = (description[key] for key in ("model", "structure", "settings"))
    box = [elements.paragraph(words) for words in answer["words"]]
    if not box:
        box.append(elements.paragraph("None of the parts that lead to a verdict were run."))
    for engine, found in answer["engines"].items():
        if lines := commands(engine, found):
            box += [elements.paragraph(f"{engine_title(engine)}:"), elements.code(lines)]
    about = (
        f"{structure['n_atoms']} atoms of {structure['file']}; model {model['name']}, {', '.join(model['heads'])}, "
        f"{model['dtype']}. {settings['temperature_K']:g} K, inner step {settings['inner_step_fs']:g} fs."
    )
    warned = [
        elements.warning(f"{w['part']}: {w['words']}" if w["part"] else w["words"])
        for w in warnings
    ]
    head = [elements.heading(f"Validation of {title}", level=1)]
    head += [elements.paragraph(about), elements.paragraph(TERMS)]
    return [*head, elements.verdict(box), *warned]
