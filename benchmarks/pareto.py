"""The Pareto front of speed against drift, over models, strides and masses, from the folders of benchmarks/speed.py.

    OMP_NUM_THREADS=1 python benchmarks/speed.py --model water-fast --engines lammps --molecules 64 \\
        --strides 4 6 8 12 16 --drift-ps 4 -o fast
    OMP_NUM_THREADS=1 python benchmarks/speed.py ... --hydrogen-mass 3.024 -o fast-heavy
    python benchmarks/pareto.py fast fast-heavy -o front

A point is on the front if no other one of its engine is at least as fast, drifts no more, and is better in one of
them. Speeds are those over conservative forces of the same model in the same engine and process: of two models the one
with the costlier energy gains more, and may still take longer. A drift smaller than ``--resolution`` counts as that:
over a few picoseconds nobody can tell it from none. Dotted lines are the goal, four times the speed at 0.1.

Writes ``table.md`` and ``front.png``.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

GOAL_SPEED, GOAL_DRIFT = 4.0, 0.1  # times conservative forces, meV/atom/ps


class Point(NamedTuple):
    """One way to run, by what it gains and what it costs."""

    engine: str
    series: str  # model and masses
    mode: str
    ms: float  # per inner step
    speed_up: float  # over conservative forces of the same series
    drift: float  # meV/atom/ps


def points_of(folder: Path) -> list[Point]:
    """Return the points of a folder of speed.py: its sizes with a drift."""
    record = json.loads((folder / "speed.json").read_text())
    settings = record["settings"]
    series = Path(settings["model"]).stem
    if settings["hydrogen_mass"] != "None":
        series += f", H of {settings['hydrogen_mass']} g/mol"
    points = []
    for part in record["parts"]:
        ms = part["ms_per_inner_step"]
        for mode, drift in part.get("drift", {}).items():
            slope = drift["meV_per_atom_per_ps"]
            points.append(Point(part["engine"], series, mode, ms[mode], ms["C"] / ms[mode], slope))
    return points


def front(points: list[Point], resolution: float) -> list[Point]:
    """Return the points that no other of their engine beats in both speed and drift, the slowest first."""

    def cost(p: Point) -> float:
        return max(abs(p.drift), resolution)

    def is_beaten(p: Point) -> bool:
        return any(
            q.engine == p.engine
            and q.speed_up >= p.speed_up
            and cost(q) <= cost(p)
            and (q.speed_up, -cost(q)) != (p.speed_up, -cost(p))
            for q in points
        )

    return sorted((p for p in points if not is_beaten(p)), key=lambda p: p.speed_up)


def table_of(points: list[Point], best: list[Point]) -> str:
    """Return all points, those of the front in bold."""
    lines = [
        "| engine | model | mode | ms per inner step | speed-up over C | drift, meV/atom/ps |",
        "|---|---|---|---|---|---|",
    ]
    for p in points:
        cells = [p.engine, p.series, p.mode, f"{p.ms:.2f}", f"{p.speed_up:.2f}", f"{p.drift:+.3f}"]
        if p in best:
            cells = [f"**{cell}**" for cell in cells]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(points: list[Point], best: list[Point], resolution: float, path: Path) -> None:
    """Draw speed-up against drift, one panel for each engine."""
    engines = list(dict.fromkeys(p.engine for p in points))
    names = list(dict.fromkeys(p.series for p in points))
    figure = Figure(figsize=(1.0 + 5.5 * len(engines), 4.6))
    panels = figure.subplots(1, len(engines), squeeze=False, sharey=True)[0]
    for axes, engine in zip(panels, engines, strict=True):
        for k, series in enumerate(names):
            chosen = [p for p in points if (p.engine, p.series) == (engine, series)]
            place = [(max(abs(p.drift), resolution), p.speed_up) for p in chosen]
            if not place:
                continue
            axes.plot(*zip(*place, strict=True), "o", ms=5, color=f"C{k}", label=series)
            for p, xy in zip(chosen, place, strict=True):
                name = p.mode.replace("M = ", "")
                axes.annotate(name, xy, (4, 3), textcoords="offset points", size=8, color=f"C{k}")
        line = [(max(abs(p.drift), resolution), p.speed_up) for p in best if p.engine == engine]
        axes.step(*zip(*line, strict=True), where="post", color="grey", lw=1, zorder=0)
        axes.axvline(GOAL_DRIFT, color="grey", ls=":", lw=0.8)
        axes.axhline(GOAL_SPEED, color="grey", ls=":", lw=0.8)
        axes.set(xscale="log", xlabel="|drift|, meV/atom/ps", title=engine)
    panels[0].set_ylabel("speed-up over conservative forces")
    panels[0].legend(fontsize="small", frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(arguments: list[str] | None = None) -> None:
    """Read the folders; write the table and the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="of benchmarks/speed.py")
    parser.add_argument("-o", "--output", type=Path, default=Path("front"))
    parser.add_argument(
        "--resolution", type=float, default=0.01, help="meV/atom/ps (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    for folder in options.folders:
        if not (folder / "speed.json").is_file():
            parser.error(
                f"expected a folder of benchmarks/speed.py with speed.json, got {folder}; run that first"
            )
    points = [p for folder in options.folders for p in points_of(folder)]
    points = [p for p in points if math.isfinite(p.drift)]  # the others exploded
    if not points:
        parser.error("expected folders with a drift, got none; run speed.py with --drift-ps")
    best = front(points, options.resolution)
    options.output.mkdir(parents=True, exist_ok=True)
    table = table_of(points, best)
    (options.output / "table.md").write_text(table)
    draw(points, best, options.resolution, options.output / "front.png")
    print(table)


if __name__ == "__main__":
    main()
