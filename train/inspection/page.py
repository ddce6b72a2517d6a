"""What a survey found, as a page and as lines for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mlip_engines.report import elements
from mlip_engines.report.figures import panels, png
from mlip_engines.report.numbers import number
from mlip_engines.report.page import page
from mlip_train.inspection.survey import Survey

_PERIODIC = {
    0: "not periodic",
    1: "periodic in one direction",
    2: "periodic in two directions",
    3: "periodic in three directions",
}
MOST_PAIRS = 60  # in the table of distances


def data_page(
    found: Survey,
    files: Sequence[tuple[Path, int]],
    warnings: Sequence[str],
    place: Callable[[int], tuple[Path, int]],
) -> str:
    """Return the page.

    Parameters
    ----------
    found : Survey
    files : sequence of (path, number of structures)
    warnings : sequence of str
        What may be wrong with the labels.
    place : callable
        Returns the file of a structure and its index there.
    """
    title = "Data of " + ", ".join(path.name for path, _ in files)
    body = [elements.heading(title, level=1)]
    body += [elements.heading("What may be wrong")]
    body += [elements.warning(text) for text in warnings] or [
        elements.paragraph(
            "Nothing was found: labels are finite and go together as far as is checked."
        )
    ]
    body += [
        elements.heading("What is there"),
        elements.table(["", ""], summary_rows(found, files)),
        elements.heading("Elements"),
        elements.paragraph(
            "Forces are lengths. Reference energies are those that fit the energies of the set; an isolated atom is "
            "one with config_type=IsolatedAtom."
        ),
        elements.table(
            [
                "element", "structures", "atoms", "RMS force, eV/Å", "longest force, eV/Å",
                "reference energy, eV", "isolated atom, eV",
            ],
            [
                [
                    e.symbol, str(e.n_structures), str(e.n_atoms), number(e.force_rms, 3),
                    number(e.largest_force, 2), number(e.reference, 3), number(e.isolated, 3),
                ]
                for e in found.elements
            ],
        ),
    ]  # fmt: skip
    if len(found.kinds) > 1:
        body += [
            elements.heading("Kinds of structures"),
            elements.paragraph("By config_type. Forces are per component."),
            elements.table(
                ["config_type", "structures", "atoms", "RMS force, eV/Å", "spread of the energy, eV/atom"],
                [
                    [k.name or "(none)", str(k.n_structures), str(k.n_atoms), number(k.force_rms, 3),
                     number(k.energy_spread, 4)]
                    for k in found.kinds
                ],
            ),
        ]  # fmt: skip
    body += [
        elements.heading("Distances"),
        elements.paragraph(
            f"The shortest distance of each pair of elements, and the mean number of neighbours of an atom, in "
            f"{found.n_sampled} structures from all over the set."
        ),
        elements.table(
            ["pair", "shortest, Å"],
            [[pair, number(d, 3)] for pair, d in list(found.shortest.items())[:MOST_PAIRS]],
        ),
        elements.table(
            ["within, Å", "neighbours"],
            [[f"{cutoff:g}", number(n, 1)] for cutoff, n in found.neighbors.items()],
        ),
        elements.heading("Structures that stand out"),
        elements.paragraph(
            "The farthest of each kind, which need not be wrong. The index is that in the file, from 0."
        ),
    ]
    for name, structures in found.standouts.items():
        rows = []
        for each in structures:
            path, index = place(each.index)
            rows.append([path.name, str(index), f"{each.value:.4g}"])
        body += [elements.paragraph(name), elements.table(["file", "index", "value"], rows)]
    body += [elements.heading("Distributions"), elements.figure(_histograms(found), "Histograms.")]
    return page(title, body)


def summary_rows(found: Survey, files: Sequence[tuple[Path, int]]) -> list[list[str]]:
    """Return names and values, for a page or a terminal."""
    n = len(found.sizes)
    rows = [[f"structures of {path.name}", str(count)] for path, count in files]
    if len(files) > 1:
        rows.append(["structures together", str(n)])
    rows += [
        ["atoms", str(int(found.sizes.sum()))],
        [
            "atoms of a structure, least, median, most",
            f"{found.sizes.min()}, {np.median(found.sizes):g}, {found.sizes.max()}",
        ],
        ["elements", " ".join(e.symbol for e in found.elements)],
    ]
    rows += [[_PERIODIC[k], str(count)] for k, count in sorted(found.n_periodic.items())]
    rows += [[f"with {name}", f"{count} of {n}"] for name, count in found.n_labels.items()]
    if len(found.volumes):
        v = found.volumes
        rows.append(
            [
                "volume per atom, least, median, most, Å³",
                f"{v.min():.2f}, {np.median(v):.2f}, {v.max():.2f}",
            ]
        )
    rows += [
        ["RMS force per component, eV/Å", number(found.force_rms, 3)],
        ["net force over the number of atoms, RMS, eV/Å", number(found.net_force, 4)],
        [
            "spread of the energy above the reference energies, eV/atom",
            number(found.energy_spread, 4),
        ],
        ["structures that repeat another", str(found.n_repeated)],
    ]
    if found.splits:
        rows.append(["split=", ", ".join(f"{k} {n}" for k, n in found.splits.items())])
    if found.keys:
        rows.append(["keys that group structures (split_by)", ", ".join(found.keys)])
    return rows


def summary(found: Survey, files: Sequence[tuple[Path, int]]) -> str:
    """Return the summary as lines for a terminal."""
    rows = summary_rows(found, files)
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name:{width}}{value}" for name, value in rows)


def _histograms(found: Survey) -> bytes:
    parts = {"atoms of a structure": found.sizes}
    if len(found.volumes):
        parts["volume per atom, Å³"] = found.volumes
    figure, axes = panels(len(parts))
    for ax, (title, values) in zip(axes, parts.items(), strict=True):
        ax.hist(values, bins=min(40, max(5, len(values) // 5)))
        ax.set(xlabel=title, ylabel="structures")
    return png(figure)
