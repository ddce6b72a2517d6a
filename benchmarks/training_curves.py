"""Validation errors of several trainings by the steps that they took, as a table and a figure.

    python benchmarks/training_curves.py tuned=ni60_tuned scratch=ni60_scratch -o curves.png

A folder of mlip-train has its errors in metrics.csv, at epochs; a step is a batch.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import NamedTuple

KINDS = {
    "energy_mae": "energy, meV/atom",
    "conservative_mae": "forces C, meV/Å",
    "non_conservative_mae": "forces NC, meV/Å",
}


class Curve(NamedTuple):
    """The errors of a training."""

    name: str
    n_structures: int
    steps: list[int]
    errors: dict[str, list[float]]  # mean absolute, by kind


def read_curve(name: str, folder: Path) -> Curve:
    """Return the errors that a folder of mlip-train holds, of a recipe with one stage and a fixed batch size."""
    n_structures = json.loads((folder / "split.json").read_text())["train"]
    n_structures = n_structures if isinstance(n_structures, int) else len(n_structures)
    per_epoch = n_structures // json.loads((folder / "recipe.json").read_text())["batch_size"]
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    errors = {kind: [float(row[kind]) for row in rows] for kind in KINDS}
    return Curve(name, n_structures, [int(row["epoch"]) * per_epoch for row in rows], errors)


def table(curves: list[Curve]) -> list[str]:
    """Return the lines of the table: the errors at the end."""
    lines = [
        f"| training | structures | steps | {' | '.join(KINDS.values())} |",
        "|---|---|---|" + "---|" * len(KINDS),
    ]
    for curve in curves:
        ends = " | ".join(f"{curve.errors[kind][-1]:.1f}" for kind in KINDS)
        lines.append(f"| {curve.name} | {curve.n_structures} | {curve.steps[-1]} | {ends} |")
    return lines


def draw(curves: list[Curve], path: Path) -> None:
    """Draw a panel for each kind of error but the last."""
    from matplotlib.figure import Figure

    kinds = list(KINDS)[:2]
    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    for axes, kind in zip(figure.subplots(1, len(kinds)), kinds, strict=True):
        for curve in curves:
            style = "--" if "scratch" in curve.name else "-"
            axes.loglog(curve.steps, curve.errors[kind], style, marker="o", label=curve.name)
        axes.set_xlabel("steps")
        axes.set_ylabel(f"mean absolute error, {KINDS[kind]}")
    lines, names = axes.get_legend_handles_labels()
    figure.legend(lines, names, fontsize=8, loc="outside lower center", ncols=3)  # over no point
    figure.savefig(path, dpi=110)


def main(arguments: list[str] | None = None) -> None:
    """Print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", metavar="NAME=FOLDER", nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the figure")
    options = parser.parse_args(arguments)
    split = (given.partition("=") for given in options.runs)
    curves = [read_curve(name, Path(folder)) for name, _, folder in split]
    draw(curves, options.output)
    print("\n".join(table(curves)))


if __name__ == "__main__":
    main()
