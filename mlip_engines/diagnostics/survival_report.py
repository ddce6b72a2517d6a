"""The page about how many of many trajectories stay physical."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlip_engines.properties.proportion import wilson_interval
from mlip_engines.report import elements
from mlip_engines.report.figures import panels, png
from mlip_engines.report.page import page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FAILURES = {"overlap_ps": "overlap", "lindemann_ps": "Lindemann", "stopped_ps": "stopped"}
ANGLES = {
    "angles_degrees": "Angles to the forces of the other model",
    "angles_of_parts_degrees": "Angles between the forces of the network and of the empirical potential in the model",
}
MOST_ROWS = 200  # of failed trajectories in the page; report.json has all


def counts(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return how many trajectories of each ensemble failed, with 95 % intervals.

    Returns
    -------
    list of dict
        ``ensemble``, ``failure`` (overlap, Lindemann, stopped, any), ``count``, ``of``, ``low``, ``high``: the last two
        are the Wilson interval of the fraction.
    """
    rows = []
    for ensemble in data["settings"]["ensembles"]:
        runs = [t for t in data["trajectories"] if t["ensemble"] == ensemble]
        kinds = {**{title: [key] for key, title in FAILURES.items()}, "any": list(FAILURES)}
        for title, keys in kinds.items():
            n = sum(any(run[key] is not None for key in keys) for run in runs)
            low, high = wilson_interval(n, len(runs))
            row = {"ensemble": ensemble, "failure": title, "count": n, "of": len(runs)}
            rows.append({**row, "low": low, "high": high})
    return rows


def count_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return the counts as lines for a terminal."""
    return [
        f"{r['ensemble']} {r['failure']:10} {r['count']:4} of {r['of']}, 95 % interval "
        f"{100 * r['low']:.0f} to {100 * r['high']:.0f} %"
        for r in rows
    ]


def write_survival(path: Path, title: str, data: dict[str, Any]) -> None:
    """Write the page: counts, times of failure, pair distribution functions, angles."""
    rows = counts(data)
    settings = data["settings"]
    body = [
        elements.heading(f"Physicality of {title}", level=1),
        elements.paragraph(
            f"Trajectories of {settings['steps']} steps of {settings['step_fs']:g} fs at "
            f"{settings['temperature_K']:g} K. Overlap: two atoms come closer than half the smallest distance at "
            "the start. Lindemann: the index of an atom exceeds 0.25, or the mean 0.2. Stopped: the engine gave up. "
            f"Intervals are Wilson's, of 95 %.{_barostats(data)}"
        ),
        elements.table(
            ["ensemble", "failure", "trajectories", "of", "95 % interval"],
            [
                [
                    r["ensemble"].upper(),
                    r["failure"],
                    str(r["count"]),
                    str(r["of"]),
                    f"{100 * r['low']:.1f} to {100 * r['high']:.1f} %",
                ]
                for r in rows
            ],
        ),
        elements.figure(png(_survivors(data)), "Trajectories that have not failed, against time."),
    ]
    names = data["distributions"]["reference"]
    if names:
        body += [
            elements.heading("Pair distribution functions"),
            elements.paragraph(
                "Of trajectories without overlap, beside all structures of the file. Peaks below the first of the "
                "reference are contacts that do not exist."
            ),
            elements.figure(png(_distributions(data)), "g(r) of each pair of elements."),
        ]
    for key, title in ANGLES.items():
        if key in data:
            body += [
                elements.heading(title),
                elements.paragraph(
                    f"Of the atoms of the starts, {100 * np.mean(np.array(data[key]) > 90):.1f} % have forces more "
                    f"than 90 degrees apart; the median is {np.median(data[key]):.0f} degrees."
                ),
                elements.figure(
                    png(_angles(data[key])), "0: both pull alike; 180: they fight each other."
                ),
            ]
    failed = [run for run in data["trajectories"] if any(run[key] is not None for key in FAILURES)]
    if failed:
        times = [
            [
                run["ensemble"].upper(),
                str(run["structure"]),
                *("" if run[key] is None else f"{run[key]:.3f}" for key in FAILURES),
                f"{run['smallest_distance_angstrom']:.2f}",
                run["stopped"][:80],
            ]
            for run in failed[:MOST_ROWS]
        ]
        header = ["ensemble", "structure", *(f"{name}, ps" for name in FAILURES.values())]
        body += [
            elements.heading("Trajectories that failed, and when"),
            elements.table([*header, "smallest distance, Å", "why it stopped"], times),
        ]
    body += [elements.heading("Settings"), elements.listing(settings)]
    path.write_text(page(f"Physicality of {title}", body), encoding="utf-8")


def _barostats(data: dict[str, Any]) -> str:
    """Return a sentence on cells that Berendsen's barostat is not for."""
    n = sum(run.get("baths") == "npt" for run in data["trajectories"])
    if n == 0:
        return ""
    return (
        f" {n} NPT trajectories have cells that are not orthogonal, and with them the thermostat and the barostat of "
        "Nosé and Hoover in place of Berendsen's, which LAMMPS has for orthogonal cells only."
    )


def _angles(angles: list[float]) -> Figure:
    figure, (axes,) = panels(1)
    axes.hist(angles, np.linspace(0, 180, 37), density=True)
    axes.set(xlabel="angle, degrees", ylabel="density")
    return figure


def _survivors(data: dict[str, Any]) -> Figure:
    figure, (axes,) = panels(1)
    length = data["settings"]["steps"] * data["settings"]["step_fs"] / 1000.0
    for ensemble in data["settings"]["ensembles"]:
        runs = [t for t in data["trajectories"] if t["ensemble"] == ensemble]
        for keys, style in ((["overlap_ps", "stopped_ps"], "-"), (list(FAILURES), "--")):
            ends = [min((r[k] for k in keys if r[k] is not None), default=np.inf) for r in runs]
            times = np.sort([e for e in ends if np.isfinite(e)])
            left = 1.0 - np.arange(len(times) + 1) / len(runs)
            x, y = np.concatenate([[0.0], times, [length]]), np.append(left, left[-1])
            label = f"{ensemble.upper()}, {'overlap' if style == '-' else 'any failure'}"
            axes.step(x, y, style, where="post", label=label)
    axes.set(xlabel="time, ps", ylabel="fraction of trajectories", ylim=(0.0, 1.05))
    axes.legend(frameon=False)
    return figure


def _distributions(data: dict[str, Any]) -> Figure:
    found = data["distributions"]
    names = list(found["reference"])[:6]
    figure, axes = panels(len(names))
    for name, each in zip(names, axes, strict=True):
        each.plot(found["r_angstrom"], found["reference"][name], "k--", label="reference")
        for ensemble in data["settings"]["ensembles"]:
            if name in found[ensemble]:
                each.plot(found["r_angstrom"], found[ensemble][name], label=ensemble.upper())
        each.set(title=name, xlabel="distance, Å", ylabel="g(r)")
        each.legend(frameon=False)
    return figure
