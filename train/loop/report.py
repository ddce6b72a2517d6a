"""One page about a run, in a file of its own: errors, learning curves, parity plots, recipe."""

from __future__ import annotations

import bisect
import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor, nn

from mlip_engines.labels.isolated import config_type
from mlip_engines.properties.by_structure import (
    NamedErrors,
    StructureErrors,
    errors_by_kind,
    kind_rows,
    worst_rows,
)
from mlip_engines.report import elements
from mlip_engines.report.figures import png
from mlip_engines.report.page import page
from mlip_train.data.loading import PreparedStructures
from mlip_train.loop.metrics import compared
from mlip_train.potentials.curves import draw_curves
from mlip_train.potentials.eam import EmbeddedAtom
from mlip_train.recipe import Recipe

# Quantity: title, unit (errors are in thousandths of it), what predictions are plotted against.
QUANTITIES = {
    "energy": ("energy", "eV/atom", "above the reference energies"),
    "conservative": ("conservative forces", "eV/Å", "labels"),
    "non_conservative": ("non-conservative forces", "eV/Å", "labels"),
    "c_minus_nc": ("C - NC", "eV/Å", "conservative forces"),
    "stress": ("stress", "eV/Å³", "labels"),
    "non_conservative_stress": ("non-conservative stress", "eV/Å³", "labels"),
}
LARGEST_PLOT = 20_000  # points
NO_TEST = (
    "No structure was kept for a test (n_test is 0, and there is no test file): the errors on the validation split, in "
    "metrics.csv, are the only ones, and they have chosen nothing but the end of the run."
)


def write_report(
    directory: Path,
    recipe: Recipe,
    history: list[dict[str, str]],
    errors: dict[str, float],
    constant: dict[str, float],
    network: nn.Module,
    structures: PreparedStructures,
    baseline: Tensor,
    scale: float,
) -> None:
    """Write ``report.html`` into the folder of a run; its figures are inside, it needs no other file.

    Parameters
    ----------
    directory : Path
        With ``environment.json``, ``split.json`` and ``files.json``.
    recipe : Recipe
    history : list of dict
        Rows of ``metrics.csv``.
    errors : dict of str to float
        On the test split, as of :func:`mlip_train.loop.metrics.evaluate`.
    constant : dict of str to float
        Of the reference energies alone, as of :func:`mlip_train.loop.constant.constant_errors`.
    network, structures, baseline, scale
        What the parity plots are made of, as of :func:`mlip_train.loop.metrics.compared`.
    """
    environment = json.loads((directory / "environment.json").read_text())
    body = [
        elements.heading(recipe.name, level=1),
        *errors_section(errors, constant, len(structures)),
        elements.heading("Learning curves"),
        elements.paragraph("Errors on the validation split, of the averaged weights."),
        elements.figure(png(learning_curves(history)), "Errors against time."),
    ]
    if len(structures):
        each: list[StructureErrors] = []
        figure = _parity(network, structures, baseline, scale, each)
        body += _of_structures(directory, structures, each)
        body += [
            elements.heading("Parity"),
            elements.paragraph(
                "Predictions for the test split against what they are compared with."
            ),
            elements.figure(png(figure), "Predictions against references."),
        ]
    potential = getattr(network, "empirical", network)
    if isinstance(potential, EmbeddedAtom):
        body += [
            elements.heading("Curves of the empirical potential"),
            elements.paragraph(
                "Two atoms alone, relative to the two far apart. In the grey region they are bound to repel each "
                "other, whatever the potential is fitted to."
            ),
            elements.figure(png(draw_curves(potential)), "Energy of a pair against its distance."),
        ]
    body += [elements.heading("Recipe"), elements.listing(recipe.as_dict())]
    body += [elements.heading("Environment"), elements.paragraph("One entry for each start.")]
    body.append(elements.listing(environment))
    (directory / "report.html").write_text(page(recipe.name, body), encoding="utf-8")


def learning_curves(history: list[dict[str, str]]) -> Figure:
    """Draw the root mean square errors of ``metrics.csv`` against the time of training, stages in order."""
    names = [n for n in QUANTITIES if any(row.get(f"{n}_rmse") for row in history)]
    figure = Figure(figsize=(5.0 * min(len(names), 2) or 5.0, 3.2 * ((len(names) + 1) // 2) or 3.2))
    minutes, ends = _total_minutes(history)
    for k, name in enumerate(names):
        title, unit, _ = QUANTITIES[name]
        axes = figure.add_subplot((len(names) + 1) // 2, min(len(names), 2), k + 1)
        points = [
            (m, float(row[f"{name}_rmse"]))
            for m, row in zip(minutes, history, strict=True)
            if row.get(f"{name}_rmse")
        ]
        axes.plot(*zip(*points, strict=True), marker=".")
        for end in ends[:-1]:
            axes.axvline(end, color="0.7", linewidth=0.8)
        axes.set(title=title, xlabel="minutes of training", ylabel=f"RMSE, m{unit}", yscale="log")
    figure.tight_layout()
    return figure


def _total_minutes(history: list[dict[str, str]]) -> tuple[list[float], list[float]]:
    """Return the time of each row since the start of the run, and the end of each stage."""
    minutes, ends, before = [], [], 0.0
    for k, row in enumerate(history):
        minutes.append(before + float(row["minutes"]))
        if k + 1 == len(history) or history[k + 1]["stage"] != row["stage"]:
            before = minutes[-1]
            ends.append(before)
    return minutes, ends


def _parity(
    network: nn.Module,
    structures: PreparedStructures,
    baseline: Tensor,
    scale: float,
    each: list[StructureErrors],
) -> Figure:
    sides: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {}
    for pairs in compared(network, structures, baseline, scale, differentiate=True, each=each):
        for name, pair in pairs.items():
            for values, side in zip(sides.setdefault(name, ([], [])), pair, strict=True):
                values.append(side.numpy())
    rng = np.random.default_rng(0)
    names = [name for name in QUANTITIES if name in sides]
    figure = Figure(figsize=(9.0, 4.2 * ((len(names) + 1) // 2)))
    for k, name in enumerate(names):
        title, unit, reference = QUANTITIES[name]
        x, y = (np.concatenate(side) for side in sides[name])
        if len(x) > LARGEST_PLOT:
            shown = rng.choice(len(x), LARGEST_PLOT, replace=False)
            x, y = x[shown], y[shown]
        axes = figure.add_subplot((len(names) + 1) // 2, 2, k + 1)
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        axes.plot(ends, ends, color="0.6", linewidth=0.8)
        axes.plot(x, y, ".", markersize=2, rasterized=True)
        axes.set(title=title, xlabel=f"{reference}, {unit}", ylabel=f"prediction, {unit}")
        axes.locator_params(axis="x", nbins=4)  # long numbers would touch
    figure.tight_layout()
    return figure


def _of_structures(
    directory: Path, structures: PreparedStructures, each: list[StructureErrors]
) -> list[str]:
    """Return tables of the errors by ``config_type`` and of the worst structures of the test."""
    places = places_of(directory, "test")
    named = [
        NamedErrors(config_type(atoms), place, found)
        for atoms, place, found in zip(structures.frames, places, each, strict=True)
    ]
    parts = []
    if len(errors_by_kind(named)) > 1:
        parts += [elements.heading("Kinds of structures"), elements.table(*kind_rows(named))]
    return [
        *parts,
        elements.heading("Worst structures"),
        elements.paragraph(
            "Those of the test with the largest errors of conservative forces and of the energy. Look at them: wrong "
            "labels show here, and so does what the data have too little of."
        ),
        elements.table(*worst_rows(named)),
    ]


def places_of(directory: Path, part: str) -> list[str]:
    """Return the file and the index in it of each structure of a part, from the record in the folder of a run."""
    files = json.loads((directory / "files.json").read_text())
    starts = [entry["first"] for entry in files]
    places = []
    for k in json.loads((directory / "split.json").read_text())[part]:
        n = bisect.bisect_right(starts, k) - 1
        places.append(f"{Path(files[n]['file']).name}: structure {k - starts[n]}")
    return places


def errors_section(
    errors: dict[str, float], constant: dict[str, float], n_structures: int
) -> list[str]:
    """Return a table, or a sentence where no structure was kept for a test."""
    if not n_structures:
        return [elements.heading("Errors"), elements.paragraph(NO_TEST)]
    header, rows = _errors(errors)
    names = [name for name in QUANTITIES if f"{name}_mae" in errors]
    of_constant = [
        f"{constant[f'{name}_mae']:.3f}" if f"{name}_mae" in constant else "" for name in names
    ]
    rows = [[*row, value] for row, value in zip(rows, of_constant, strict=True)]
    return [
        elements.heading(f"Errors on {n_structures} test structures"),
        elements.table([*header, "MAE of a constant"], rows),
    ]


def format_test_errors(errors: dict[str, float], n_structures: int) -> str:
    """Return the errors on the test split as a table for a terminal, with units; a sentence without such structures."""
    if not n_structures:
        return NO_TEST
    header, rows = _errors(errors)
    lines = [
        f"errors on {n_structures} test structures",
        f"{header[0]:36}{header[1]:>10}{header[2]:>10}",
    ]
    return "\n".join([*lines, *(f"{name:36}{mae:>10}{rmse:>10}" for name, mae, rmse in rows)])


def _errors(errors: dict[str, float]) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a table."""
    rows = [
        [f"{title}, m{unit}", f"{errors[f'{name}_mae']:.3f}", f"{errors[f'{name}_rmse']:.3f}"]
        for name, (title, unit, _) in QUANTITIES.items()
        if f"{name}_mae" in errors
    ]
    return ["energy per atom, others per component", "MAE", "RMSE"], rows
