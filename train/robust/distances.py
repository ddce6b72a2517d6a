"""A page on how near atoms are before and after a perturbation: figure 6b of Zheng and Fung."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mlip_engines.report import elements
from mlip_engines.report.figures import png
from mlip_engines.report.page import page
from mlip_train.robust.perturbation import Perturbation

QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)


def distance_table(before: list[float], after: list[float]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of a table of the shortest distances, Å."""
    header = ["shortest distance, Å", "structures", *(f"{100 * q:g} %" for q in QUANTILES)]
    rows = [
        [name, str(len(values)), *(f"{v:.3f}" for v in np.quantile(values, QUANTILES))]
        for name, values in (("before", before), ("after", after))
    ]
    return header, rows


def draw_distances(before: list[float], after: list[float]) -> Figure:
    """Draw the distributions of the shortest distances (Å) of structures and of their copies."""
    figure = Figure(figsize=(5.0, 3.2))
    axes = figure.add_subplot()
    values = [v for v in [*before, *after] if np.isfinite(v)]
    bins = np.linspace(min(values) - 0.05, max(values) + 0.05, 50)
    for name, each in (("before", before), ("after", after)):
        axes.hist(each, bins, density=True, histtype="stepfilled", alpha=0.5, label=name)
    axes.set(xlabel="shortest distance of a structure, Å", ylabel="density, 1/Å")
    axes.legend(frameon=False)
    figure.tight_layout()
    return figure


def write_distances(
    path: Path, settings: Perturbation, before: list[float], after: list[float]
) -> None:
    """Write the page: a table, the figure and the settings."""
    body = [
        elements.heading("Perturbed structures", level=1),
        elements.table(*distance_table(before, after)),
        elements.figure(
            png(draw_distances(before, after)), "Distribution of the shortest distances."
        ),
        elements.heading("Settings"),
        elements.listing(asdict(settings)),
    ]
    path.write_text(page("Perturbed structures", body), encoding="utf-8")
