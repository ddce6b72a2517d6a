"""The report of phonons: bands, density of states and free energy of several curves side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlip_engines.phonons.spectrum import Phonons, plain_label
from mlip_engines.report import elements
from mlip_engines.report.figures import panels, png
from mlip_engines.report.numbers import number
from mlip_engines.report.page import page


def bands_figure(curves: Sequence[Phonons]) -> bytes:
    """Return bands beside the density of states, as a PNG file."""
    figure, (left, right) = panels(2, height=3.8)
    for k, curve in enumerate(curves):
        bands = curve.phonopy.band_structure
        for distances, frequencies in zip(bands.distances, bands.frequencies, strict=True):
            lines = left.plot(distances, frequencies, color=f"C{k}", lw=1.0, ls=_style(k))
        lines[0].set_label(curve.label)
        dos = curve.phonopy.total_dos
        right.plot(dos.frequency_points, dos.dos, color=f"C{k}", ls=_style(k), label=curve.label)
    places, names = _ticks(curves[0])
    for place in places:
        left.axvline(place, color="0.8", lw=0.6, zorder=0)
    left.set_xticks(places, names)
    left.axhline(0.0, color="0.5", lw=0.6)
    left.set_ylabel("frequency, THz (imaginary: negative)")
    left.legend(frameon=False, fontsize="small")
    right.set_xlabel("frequency, THz")
    right.set_ylabel("density of states, 1/THz per primitive cell")
    return png(figure)


def thermal_figure(curves: Sequence[Phonons]) -> bytes:
    """Return the free energy and the heat capacity against the temperature, as a PNG file."""
    figure, (left, right) = panels(2)
    for k, curve in enumerate(curves):
        values = curve.thermal()
        for axes, name in (
            (left, "free_energy_kJ_per_mol"),
            (right, "heat_capacity_J_per_K_mol"),
        ):
            axes.plot(
                values["temperature_K"],
                values[name],
                color=f"C{k}",
                ls=_style(k),
                label=curve.label,
            )
    for axes in (left, right):
        axes.set_xlabel("temperature, K")
    left.set_ylabel("free energy of vibration, kJ/mol per primitive cell")
    right.set_ylabel("heat capacity, J/(K mol) per primitive cell")
    left.legend(frameon=False, fontsize="small")
    return png(figure)


def report_page(
    curves: Sequence[Phonons], settings: dict[str, Any], warnings: Sequence[str]
) -> str:
    """Return the page."""
    parts = [elements.heading("Phonons", level=1)]
    parts.append(elements.verdict([elements.paragraph(line) for line in words(curves)]))
    parts += [elements.warning(text) for text in warnings]
    parts += [elements.warning(f"{c.label}: {text}") for c in curves for text in c.warnings]
    parts.append(
        elements.figure(bands_figure(curves), "Bands along the path of seekpath; density of states")
    )
    parts.append(elements.figure(thermal_figure(curves), "Harmonic free energy and heat capacity"))
    parts.append(elements.heading("Frequencies, THz"))
    names = list(curves[0].points())
    rows = []
    for curve in curves:
        found = curve.points()
        for name in names:
            if name in found:
                rows.append(
                    [curve.label, name, ", ".join(f"{f + 0.0:.2f}" for f in found[name].round(2))]
                )
    parts.append(elements.table(["forces", "q", "frequencies"], rows))
    parts.append(elements.heading("Imaginary modes"))
    rows = [
        [curve.label, "(" + ", ".join(f"{x:.3g}" for x in q) + ")", f"{-frequency:.2f}i"]
        for curve in curves
        for q, frequency in curve.imaginary_modes()[:20]
    ]
    if rows:
        parts.append(
            elements.table(["forces", "q in reciprocal lattice vectors", "lowest, THz"], rows)
        )
    else:
        parts.append(elements.paragraph("There are none."))
    parts.append(elements.heading("How well the force constants obey the rules"))
    rows = [
        [
            curve.label,
            f"{curve.displacement:g}",
            str(curve.n_displaced),
            f"{curve.drift:.1e}",
            f"{curve.residual_force:.1e}",
        ]
        for curve in curves
    ]
    header = ["forces", "displacement, Å", "displaced cells"]
    header += ["acoustic sum before it was set to 0, eV/Å^2", "force in the perfect crystal, eV/Å"]
    parts.append(elements.table(header, rows))
    parts += [elements.heading("Settings"), elements.listing(settings)]
    return page("Phonons", parts)


def words(curves: Sequence[Phonons]) -> list[str]:
    """Return what was found, a sentence a line."""
    lines = []
    for curve in curves:
        found = curve.summary()
        text = (
            f"{curve.label}: frequencies reach {number(found['highest_THz'])} THz; the free energy of vibration at "
            f"{found['temperature_K']:g} K is {number(found['free_energy_kJ_per_mol'], 3)} kJ/mol per primitive cell; "
        )
        n = found["n_imaginary_q"]
        if n:
            worst = found["imaginary"][0]
            q = ", ".join(f"{x:.3g}" for x in worst["q"])
            text += f"{n} q have imaginary modes, the lowest {-worst['THz']:.2f}i THz at ({q})."
        else:
            text += "there are no imaginary modes."
        lines.append(text)
    return lines


def _style(k: int) -> str:
    return ("-", "--", ":")[k % 3]


def _ticks(curve: Phonons) -> tuple[list[float], list[str]]:
    """Return where on the path the named points are; two names where the path jumps."""
    bands = curve.phonopy.band_structure
    labels, places, names, k = list(bands.labels), [], [], 0
    joined = True
    for distances, is_connected in zip(bands.distances, bands.path_connections, strict=True):
        first = plain_label(labels[k])
        if not names or joined:
            if not names:
                places.append(float(distances[0]))
                names.append(first)
        else:
            names[-1] += f"|{first}"
        places.append(float(np.asarray(distances)[-1]))
        names.append(plain_label(labels[k + 1]))
        joined = bool(is_connected)
        k += 1 if joined else 2
    return places, names
