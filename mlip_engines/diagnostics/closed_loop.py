r"""How much work do the forces do around a closed path? Nothing, if they have an energy.

One molecule is turned by an angle and stretched, out of phase, and comes back to where it was while all other atoms
stay: W = closed integral of F . dr. In a structure that is not molecular one atom goes around a circle. The path is
smooth and periodic in its parameter, so that the trapezoidal rule converges faster than any power of the number of
points; what is left of W for conservative forces is its error.

References
----------
Bigi, Langer, Ceriotti, ICML 2025 (arXiv:2412.11569), figure 6; Trefethen, Weideman, SIAM Rev. 56, 385 (2014), for the
trapezoidal rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.figures import panels, style_of
from mlip_engines.diagnostics.result import Result, Section, Table, number
from mlip_engines.properties.force_field import ForceField
from mlip_engines.properties.molecules import find_molecules, is_molecular, whole_molecule
from mlip_engines.properties.work import circle, loop_work, rotation_and_stretch
from mlip_engines.simulations.simulation import Simulation, Trajectory
from mlip_engines.units import MEV_PER_EV

if TYPE_CHECKING:
    from mlip_engines.simulations.engine import Engine

ANGLE = np.pi / 6  # largest rotation
STRETCH = 0.1  # largest relative change of distances from the centre
RADIUS = 0.3  # Å, of the circle of a single atom
LITERATURE_MEV = {"ORB": 15.0, "PET-NC": 132.0, "EquiformerV2": -241.0, "SOAP-BPNN-NC": -410.0}


class ClosedLoop:
    """Work around loops of several molecules or atoms."""

    name: ClassVar[str] = "closed_loop"
    title: ClassVar[str] = "Work around a closed loop"
    needs_engine: ClassVar[bool] = False
    after: ClassVar[tuple[str, ...]] = ()

    def simulations(
        self, case: Case, ensembles: tuple[str, ...], earlier: dict[str, Result]
    ) -> dict[str, Simulation]:
        """Return none: the structure is enough."""
        return {}

    def evaluations(self, case: Case) -> float:
        """Return roughly what it costs, in full evaluations of the structure."""
        return 3.0 * case.settings.loops * case.settings.loop_points

    def measure(
        self,
        case: Case,
        trajectories: dict[str, Trajectory],
        earlier: dict[str, Result],
        engine: Engine | None = None,
    ) -> Result:
        """Work of C and NC forces around the same loops."""
        atoms, rng = case.atoms, np.random.default_rng(case.settings.seed)
        molecular = is_molecular(atoms)
        groups = find_molecules(atoms) if molecular else [np.array([k]) for k in range(len(atoms))]
        groups = [g for g in groups if len(g) > 1] if molecular else groups
        order = rng.permutation(len(groups))[: case.settings.loops]
        paths = []
        for k in order:
            basis = np.linalg.qr(rng.normal(size=(3, 3)))[0]
            if molecular:
                molecule = whole_molecule(atoms, groups[k])
                paths.append(
                    rotation_and_stretch(
                        atoms.positions, groups[k], molecule, basis[0], angle=ANGLE, stretch=STRETCH
                    )
                )
            else:
                paths.append(circle(atoms.positions, groups[k][0], basis[0], basis[1], RADIUS))
        values = {"molecular": molecular, "loops": len(paths), "points": case.settings.loop_points}
        arrays = {}
        for kind in ("C", "NC") if case.has_head else ("C",):
            field = ForceField(case.model, atoms, conservative=kind == "C")
            found = [loop_work(field.forces, path, case.settings.loop_points) for path in paths]
            work = MEV_PER_EV * np.array([w for w, _ in found])
            values[f"work_{kind}_meV"] = work.tolist()
            values[f"work_{kind}_rms_meV"] = float(np.sqrt((work**2).mean()))
            arrays[f"work_so_far_{kind}_meV"] = MEV_PER_EV * np.array([sums for _, sums in found])
        return Result(values, arrays)

    def render(self, result: Result) -> Section:
        """Words, a table and the work along the path."""
        v, section = result.values, Section()
        mover = (
            "a molecule turned by 30° and stretched by 10 %"
            if v["molecular"]
            else "an atom on a circle of 0.3 Å"
        )
        kinds = [k for k in ("C", "NC") if f"work_{k}_meV" in v]
        rows = [
            [
                kind,
                number(v[f"work_{kind}_rms_meV"], 3),
                number(min(v[f"work_{kind}_meV"]), 3, sign=True),
                number(max(v[f"work_{kind}_meV"]), 3, sign=True),
            ]
            for kind in kinds
        ]
        section.tables.append(
            Table(["forces", "RMS work, meV", "smallest, meV", "largest, meV"], rows)
        )
        words = (
            f"Work around {v['loops']} closed loops ({mover}, all other atoms at rest). "
            f"Conservative forces: {v['work_C_rms_meV']:.2g} meV, the error of the integral."
        )
        if "NC" in kinds:
            others = ", ".join(f"{name} {w:+.0f}" for name, w in LITERATURE_MEV.items())
            words += (
                f" NC forces: {v['work_NC_rms_meV']:.1f} meV RMS, energy that each lap makes or loses. Of a loop of "
                f"their own, with another path, Bigi, Langer and Ceriotti report {others} meV."
            )
        section.paragraphs.append(words)
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
        section.figures.append(
            (
                "Work along each loop, and at its end: lines of C come back to zero.",
                figure,
            )
        )
        if v["work_C_rms_meV"] > 0.5:
            section.warnings.append(
                f"Conservative forces do {v['work_C_rms_meV']:.2g} meV of work around a loop, expected below 0.5: the "
                "energy of this model is not smooth."
            )
        return section
