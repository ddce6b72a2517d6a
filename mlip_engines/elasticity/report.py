"""The report of elastic constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlip_engines.elasticity.measurement import Elasticity
from mlip_engines.report import elements
from mlip_engines.report.figures import panels, png
from mlip_engines.report.page import page

_NAMES = ["xx", "yy", "zz", "yz", "xz", "xy"]


def words(found: Elasticity) -> list[str]:
    """Return what was found, a sentence a line."""
    tensor, state = found.tensor, found.equation_of_state
    bulk, shear = tensor.bulk, tensor.shear
    if not tensor.is_stable:  # an average of Reuss would divide by strains that cost no energy
        softest = float(np.linalg.eigvalsh(tensor.constants).min())
        return [
            f"The crystal is not stable: the softest strain has a constant of {softest:.1f} GPa. Averages over "
            f"directions mean nothing then; the bulk modulus by the equation of state is {state.bulk_modulus:.1f} GPa.",
        ]
    lines = [
        f"The bulk modulus is {bulk['hill']:.1f} GPa (Hill; Voigt {bulk['voigt']:.1f}, Reuss {bulk['reuss']:.1f}), "
        f"by the equation of state {state.bulk_modulus:.1f} GPa at {state.volume:.3f} Å^3/atom, with B' = "
        f"{state.slope:.2f}.",
        f"The shear modulus is {shear['hill']:.1f} GPa (Hill; Voigt {shear['voigt']:.1f}, Reuss {shear['reuss']:.1f}).",
        f"Young's modulus is {tensor.young:.1f} GPa, Poisson's ratio {tensor.poisson:.3f}, the anisotropy "
        f"{tensor.anisotropy:.2f}.",
    ]
    return lines


def constants_table(found: Elasticity) -> list[list[str]]:
    """Return the rows of C in GPa, with their names."""
    return [
        [name, *(f"{c + 0.0:.2f}" for c in row.round(2))]
        for name, row in zip(_NAMES, found.tensor.constants, strict=True)
    ]


def report_page(found: Elasticity, settings: dict[str, Any], warnings: Sequence[str]) -> str:
    """Return the page."""
    parts = [elements.heading("Elastic constants", level=1)]
    parts.append(elements.verdict([elements.paragraph(line) for line in words(found)]))
    parts += [elements.warning(text) for text in warnings]
    parts.append(elements.heading("Elastic tensor, GPa"))
    parts.append(elements.table(["", *_NAMES], constants_table(found)))
    parts.append(
        elements.paragraph(
            "Axes are Cartesian; shear strains are counted twice, as in Voigt's notation. The symmetry of the "
            f"crystal has changed constants by up to {found.asymmetry:.2f} GPa, and extrapolation to zero strain "
            f"by up to {found.nonlinearity:.2f} GPa."
        )
    )
    parts.append(elements.heading("Equation of state"))
    caption = "Energy against volume, and the equation of Birch and Murnaghan of third order"
    parts.append(elements.figure(_figure(found), caption))
    parts += [elements.heading("Settings"), elements.listing(settings)]
    return page("Elastic constants", parts)


def _figure(found: Elasticity) -> bytes:
    state = found.equation_of_state
    figure, (axes,) = panels(1)
    x = (state.volumes / state.volumes.mean()) ** (-2.0 / 3.0)
    fit = np.polynomial.Polynomial.fit(x, state.energies, 3)
    volumes = np.linspace(state.volumes.min(), state.volumes.max(), 200)
    axes.plot(volumes, fit((volumes / state.volumes.mean()) ** (-2.0 / 3.0)), lw=1.0)
    axes.plot(state.volumes, state.energies, "o", ms=4)
    axes.set_xlabel("volume, Å$^3$/atom")
    axes.set_ylabel("energy, eV/atom")
    return png(figure)
