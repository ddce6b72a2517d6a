"""How much work do the forces do around a closed path? Nothing, if they have an energy.

One molecule is turned by an angle and stretched, out of phase, and comes back to where it was while all other atoms
stay. In a structure that is not molecular one atom goes around a circle. The integral is that of
:mod:`mlip_engines.properties.work`.

References
----------
Bigi, Langer, Ceriotti, ICML 2025 (arXiv:2412.11569), figure 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlip_engines.diagnostics.appearance import style_of
from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.diagnostic import ModelDiagnostic, Results
from mlip_engines.diagnostics.result import Result, Section, Table
from mlip_engines.properties.molecules import find_molecules, is_molecular, whole_molecule
from mlip_engines.properties.work import Path, circle, loop_work, rotation_and_stretch
from mlip_engines.report.figures import panels
from mlip_engines.report.numbers import number
from mlip_engines.units import MEV_PER_EV

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ANGLE = np.pi / 6  # largest rotation
STRETCH = 0.1  # largest relative change of distances from the centre
RADIUS = 0.3  # Å, of the circle of a single atom
LARGEST_WORK_MEV = 0.5  # of C, beyond which the energy is not smooth
LITERATURE_MEV = {"ORB": 15.0, "PET-NC": 132.0, "EquiformerV2": -241.0, "SOAP-BPNN-NC": -410.0}


class ClosedLoop(ModelDiagnostic):
    """Work around loops of several molecules or atoms."""

    name = "closed_loop"
    title = "Work around a closed loop"

    def evaluations(self, case: Case) -> float:
        """One for each point, with the neighbour list that each needs."""
        return 3.0 * case.settings.loops * case.settings.loop_points

    def measure(self, case: Case) -> Result:
        """Work of C and NC forces around the same loops."""
        from mlip_engines.properties.force_field import ForceField

        n_points, paths = case.settings.loop_points, _paths(case)
        values = {"molecular": is_molecular(case.atoms), "loops": len(paths), "points": n_points}
        arrays = {}
        for kind in case.kinds:
            field = ForceField(case.model, case.atoms, conservative=kind == "C")
            found = [loop_work(field.forces, path, n_points) for path in paths]
            work = MEV_PER_EV * np.array([w for w, _ in found])
            values[f"work_{kind}_meV"] = work.tolist()
            values[f"work_{kind}_rms_meV"] = float(np.sqrt((work**2).mean()))
            arrays[f"work_so_far_{kind}_meV"] = MEV_PER_EV * np.array([sums for _, sums in found])
        return Result(values, arrays)

    def render(self, result: Result) -> Section:
        """Words, a table and the work along the path."""
        v = result.values
        caption = "Work along each loop, and at its end: lines of C come back to zero."
        section = Section([_words(v)], [_table(v)], [(caption, _figure(result))])
        if v["work_C_rms_meV"] > LARGEST_WORK_MEV:
            section.warnings.append(
                f"Conservative forces do {v['work_C_rms_meV']:.2g} meV of work around a loop, expected below "
                f"{LARGEST_WORK_MEV:g}: the energy of this model is not smooth."
            )
        return section

    def verdict(self, result: Result, beside: Results) -> str:
        """Both kinds of forces in one sentence."""
        v = result.values
        if "work_NC_rms_meV" not in v:
            return ""
        return (
            f"Work around a closed loop: {v['work_NC_rms_meV']:.1f} meV RMS with NC forces, "
            f"{v['work_C_rms_meV']:.2g} meV with conservative ones."
        )


def _paths(case: Case) -> list[Path]:
    atoms, rng = case.atoms, np.random.default_rng(case.settings.seed)
    molecular = is_molecular(atoms)
    groups = find_molecules(atoms) if molecular else [np.array([k]) for k in range(len(atoms))]
    groups = [g for g in groups if len(g) > 1] if molecular else groups
    paths = []
    for k in rng.permutation(len(groups))[: case.settings.loops]:
        basis = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        if molecular:
            whole = whole_molecule(atoms, groups[k])
            path = rotation_and_stretch(
                atoms.positions, groups[k], whole, basis[0], angle=ANGLE, stretch=STRETCH
            )
        else:
            path = circle(atoms.positions, groups[k][0], basis[0], basis[1], RADIUS)
        paths.append(path)
    return paths


def _kinds(v: dict[str, Any]) -> list[str]:
    return [kind for kind in ("C", "NC") if f"work_{kind}_meV" in v]


def _words(v: dict[str, Any]) -> str:
    mover = (
        "a molecule turned by 30° and stretched by 10 %"
        if v["molecular"]
        else "an atom on a circle of 0.3 Å"
    )
    words = (
        f"Forces were integrated around {v['loops']} closed loops ({mover}, all other atoms at rest). Conservative "
        f"forces do {v['work_C_rms_meV']:.2g} meV RMS of work, which is the error of the integral."
    )
    if "NC" in _kinds(v):
        others = ", ".join(f"{name} {w:+.0f}" for name, w in LITERATURE_MEV.items())
        words += (
            f" NC forces do {v['work_NC_rms_meV']:.1f} meV RMS: energy that appears or is lost in each lap. For a loop "
            f"with another path, Bigi, Langer and Ceriotti report {others} meV."
        )
    return words


def _table(v: dict[str, Any]) -> Table:
    rows = [
        [
            kind,
            number(v[f"work_{kind}_rms_meV"], 3),
            number(min(v[f"work_{kind}_meV"]), 3, sign=True),
            number(max(v[f"work_{kind}_meV"]), 3, sign=True),
        ]
        for kind in _kinds(v)
    ]
    return Table(["forces", "RMS work, meV", "smallest, meV", "largest, meV"], rows)


def _figure(result: Result) -> Figure:
    kinds = _kinds(result.values)
    figure, (*axes, last) = panels(len(kinds) + 1)
    for kind, ax in zip(kinds, axes, strict=True):
        sums = result.arrays[f"work_so_far_{kind}_meV"]
        line = {**style_of(kind), "label": None, "lw": 0.9}
        ax.plot(np.linspace(0.0, 1.0, sums.shape[1]), sums.T, **line)
        ax.plot(np.ones(len(sums)), sums[:, -1], "o", color=line["color"], ms=4)
        ax.axhline(0.0, color="0.7", lw=0.8, zorder=0)
        ax.set(xlabel="part of the loop", ylabel="work so far, meV", title=kind)
        numbers = np.arange(1, len(sums) + 1)
        last.plot(numbers, sums[:, -1], "o", color=line["color"], ms=4, label=kind)
    last.axhline(0.0, color="0.7", lw=0.8, zorder=0)
    last.set(xlabel="loop", ylabel="work at the end, meV", title="closed")
    last.xaxis.get_major_locator().set_params(integer=True)
    last.legend(frameon=False, fontsize="small")
    return figure
