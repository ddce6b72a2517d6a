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

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.field import ForceField
from mlip_engines.diagnostics.figures import panels, style_of
from mlip_engines.diagnostics.molecules import is_molecular, molecules, whole_molecule
from mlip_engines.diagnostics.result import Result, Section, Table, number
from mlip_engines.simulations.simulation import Simulation, Trajectory
from mlip_engines.units import MEV_PER_EV

if TYPE_CHECKING:
    from mlip_engines.simulations.engine import Engine

ANGLE = np.pi / 6  # largest rotation
STRETCH = 0.1  # largest relative change of distances from the centre
RADIUS = 0.3  # Å, of the circle of a single atom
LITERATURE_MEV = {"ORB": 15.0, "PET-NC": 132.0, "EquiformerV2": -241.0, "SOAP-BPNN-NC": -410.0}

Path = Callable[[float], tuple[NDArray[np.float64], NDArray[np.float64]]]


def closed_loop_work(
    forces: Callable[[NDArray], NDArray], path: Path, n_points: int
) -> tuple[float, NDArray[np.float64]]:
    """Work of a force field on atoms that go around a closed path.

    Parameters
    ----------
    forces : callable
        Positions (N, 3), Å, to forces (N, 3), eV/Å.
    path : callable
        Parameter s to positions (N, 3) and their derivative with respect to s; period 1.
    n_points : int

    Returns
    -------
    work : float, eV
    sum : (n_points + 1,) array, eV
        Work up to each point.

    Raises
    ------
    ValueError
        If the path is not closed to 1e-9 Å.
    """
    gap = float(np.abs(path(1.0)[0] - path(0.0)[0]).max())
    if gap > 1e-9:
        raise ValueError(f"expected a closed path, its ends are {gap:.2g} Å apart")
    power = np.zeros(n_points)
    for k in range(n_points):
        positions, velocity = path(k / n_points)
        power[k] = (forces(positions) * velocity).sum()
    both = 0.5 * (power + np.roll(power, -1)) / n_points
    sums = np.concatenate([[0.0], np.cumsum(both)])
    return float(sums[-1]), sums


def rotation_and_stretch(
    positions: NDArray[np.float64],
    moved: NDArray[np.int_],
    molecule: NDArray[np.float64],
    axis: NDArray[np.float64],
) -> Path:
    """Path on which a molecule turns by ANGLE sin(2 pi s) and stretches by STRETCH cos(2 pi s).

    Parameters
    ----------
    positions : (N, 3) array, Å
    moved : (n,) int array
        Indices of the molecule.
    molecule : (n, 3) array, Å
        Its positions in one piece.
    axis : (3,) array
        Of the rotation, of unit length.

    Returns
    -------
    callable
        As :func:`closed_loop_work` wants it.
    """
    centre = molecule.mean(axis=0)
    offset = molecule - centre  # (n, 3)
    generator = np.cross(np.eye(3), -axis)  # generator @ v = axis x v

    def path(s: float) -> tuple[NDArray, NDArray]:
        phase = 2.0 * np.pi * s
        angle, stretch = ANGLE * np.sin(phase), 1.0 + STRETCH * np.cos(phase)
        turn = np.eye(3) + np.sin(angle) * generator + (1.0 - np.cos(angle)) * generator @ generator
        turned = offset @ turn.T
        angle_rate = 2.0 * np.pi * ANGLE * np.cos(phase)
        stretch_rate = -2.0 * np.pi * STRETCH * np.sin(phase)
        x, v = positions.copy(), np.zeros_like(positions)
        x[moved] = centre + stretch * turned
        v[moved] = stretch_rate * turned + stretch * angle_rate * (turned @ generator.T)
        return x, v

    return path


def circle(
    positions: NDArray[np.float64], atom: int, first: NDArray, second: NDArray, radius: float
) -> Path:
    """Path of one atom on a circle around its place, from ``first`` to ``second``, two unit vectors."""

    def path(s: float) -> tuple[NDArray, NDArray]:
        phase = 2.0 * np.pi * s
        x, v = positions.copy(), np.zeros_like(positions)
        x[atom] += radius * (np.cos(phase) * first + np.sin(phase) * second)
        v[atom] = 2.0 * np.pi * radius * (-np.sin(phase) * first + np.cos(phase) * second)
        return x, v

    return path


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
        groups = molecules(atoms) if molecular else [np.array([k]) for k in range(len(atoms))]
        groups = [g for g in groups if len(g) > 1] if molecular else groups
        order = rng.permutation(len(groups))[: case.settings.loops]
        paths = []
        for k in order:
            basis = np.linalg.qr(rng.normal(size=(3, 3)))[0]
            if molecular:
                molecule = whole_molecule(atoms, groups[k])
                paths.append(rotation_and_stretch(atoms.positions, groups[k], molecule, basis[0]))
            else:
                paths.append(circle(atoms.positions, groups[k][0], basis[0], basis[1], RADIUS))
        values = {"molecular": molecular, "loops": len(paths), "points": case.settings.loop_points}
        arrays = {}
        for kind in ("C", "NC") if case.has_head else ("C",):
            field = ForceField(case.model, atoms, conservative=kind == "C")
            found = [
                closed_loop_work(field.forces, path, case.settings.loop_points) for path in paths
            ]
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
