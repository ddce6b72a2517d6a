r"""Is the liquid the same? Pair distribution functions and the orientational correlation of molecules.

g_ab(r) is ASE's. The orientational correlation c_uu(r) = <u_i . u_j> of molecules whose centres are r apart, with u the
unit vector from the centre of mass to the mean position of the most frequent element (for water, along the dipole),
needs molecules. Each is shown as the difference to conservative forces with two standard errors, from blocks of time.

References
----------
Bigi, Langer, Ceriotti, ICML 2025 (arXiv:2412.11569), figures 3 and 12.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlip_engines.diagnostics.appearance import label_of
from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.comparison import (
    comparison_figure,
    grouped,
    in_blocks,
    largest_difference,
    mean_of_blocks,
    picoseconds,
)
from mlip_engines.diagnostics.diagnostic import (
    Ensembles,
    Results,
    Simulations,
    Trajectories,
    TrajectoryDiagnostic,
)
from mlip_engines.diagnostics.nvt import trajectories_with_frames
from mlip_engines.diagnostics.result import Result, Section, Table
from mlip_engines.properties.molecules import find_molecules, is_molecular
from mlip_engines.properties.orientation import directions_of, orientational_correlation
from mlip_engines.properties.radial_distribution import largest_radius, pair_distribution
from mlip_engines.report.numbers import number
from mlip_engines.simulations.kinetics import species_of
from mlip_engines.simulations.trajectory import Trajectory

if TYPE_CHECKING:
    from ase import Atoms

BIN = 0.1  # Å
STRIDE_FS = 20.0  # between frames that are looked at
LARGEST_RADIUS = 10.0  # Å


class Structure(TrajectoryDiagnostic):
    """g(r) of all pairs of elements and c_uu(r), from the trajectories with SVR."""

    name = "structure"
    title = "Structure"
    after = ("stride",)

    def simulations(self, case: Case, ensembles: Ensembles, earlier: Results) -> Simulations:
        """The trajectories of ``nvt`` that have frames."""
        return trajectories_with_frames(case, ensembles, earlier)

    def measure(self, case: Case, trajectories: Trajectories) -> Result:
        """Functions of each kind of forces, and how far they are from those of C."""
        atoms, arrays = case.atoms, {}
        values: dict[str, Any] = {
            "periodic": bool(atoms.pbc.all()),
            "functions": [],
            "picoseconds": {},
        }
        if not values["periodic"]:
            return Result(values)
        by_forces, values["left_out"] = grouped(trajectories)
        if not by_forces:
            return Result(values)
        radius = min(LARGEST_RADIUS, 0.999 * largest_radius(atoms.cell.array))
        edges = np.linspace(0.0, radius, max(10, int(radius / BIN)) + 1)
        arrays["r_angstrom"] = 0.5 * (edges[1:] + edges[:-1])
        values["picoseconds"] = picoseconds(by_forces)
        for forces, runs in by_forces.items():
            blocks = _functions(atoms, runs, edges)
            values["functions"] = list(blocks)
            for name, found in blocks.items():
                mean, error = mean_of_blocks(np.array(found))
                arrays[f"{name}_{forces}"], arrays[f"{name}_{forces}_error"] = mean, error
        others = [forces for forces in by_forces if forces != "C"]
        values["largest_difference_to_C"] = {
            name: {forces: largest_difference(arrays, name, forces) for forces in others}
            for name in values["functions"]
        }
        return Result(values, arrays)

    def render(self, result: Result) -> Section:
        """Words, a table and figures."""
        v = result.values
        if not v["periodic"]:
            return Section(["The structure is not periodic, so it has no g(r)."])
        section = Section(warnings=list(v.get("left_out", [])))  # not in parts of earlier versions
        if not v["functions"]:
            return section
        shown = {name: list(v["picoseconds"]) for name in v["functions"]}
        figure, axes = comparison_figure(
            result.arrays["r_angstrom"], result.arrays, shown, x_label="r, Å"
        )
        axes[1, 0].set_ylabel("difference to C")
        caption = (
            "Above: the functions. Below: their difference from C; bands are two standard errors."
        )
        section.paragraphs.append(_words(v))
        section.tables.append(_table(v))
        section.figures.append((caption, figure))
        return section


def _functions(
    atoms: Atoms, runs: list[Trajectory], edges: NDArray[np.float64]
) -> dict[str, list[NDArray]]:
    """Return g(r) of each pair of elements, and c_uu(r) of molecules, in each block of some runs."""
    pairs = list(combinations_with_replacement(species_of(atoms), 2))
    groups = find_molecules(atoms) if is_molecular(atoms) else []
    blocks: dict[str, list[NDArray]] = {f"g_{a}{b}": [] for a, b in pairs}
    if groups:
        blocks["c_uu"] = []
    for run in runs:
        frames = thinned(run)
        for block in in_blocks(len(frames)):
            chosen = frames[block]
            images = run.structures(atoms, chosen)
            for a, b in pairs:
                g = pair_distribution(images, (a, b), edges[-1], len(edges) - 1)[1]
                blocks[f"g_{a}{b}"].append(g)
            if groups:
                cells = run.frame_cell[chosen]
                centres, directions = directions_of(atoms, groups, run.positions[chosen], cells)
                c = orientational_correlation(centres, directions, cells, edges)
                blocks["c_uu"].append(c)
    return blocks


def thinned(run: Trajectory) -> NDArray[np.int_]:
    """Return indices of frames about STRIDE_FS apart."""
    interval = 1000.0 * (run.frame_time_ps[1] - run.frame_time_ps[0])
    return np.arange(0, len(run.frame_time_ps), max(1, round(STRIDE_FS / interval)))


def _words(v: dict[str, Any]) -> str:
    correlation = " and orientational correlation c_uu(r)" if "c_uu" in v["functions"] else ""
    lengths = ", ".join(f"{p:.1f} ps with {label_of(f)}" for f, p in v["picoseconds"].items())
    return (
        f"Pair distributions g(r){correlation} are from trajectories with the SVR thermostat: {lengths}. By chance "
        "about one bin in twenty lies beyond two standard errors, and errors from so few blocks are uncertain "
        "themselves."
    )


def _table(v: dict[str, Any]) -> Table:
    header = ["function", "forces", "largest difference to C", "standard error", "at r, Å"]
    rows = [
        [
            name,
            label_of(forces),
            number(d["difference"], 3, sign=True),
            number(d["error"], 3),
            f"{d['r_angstrom']:.2f}",
            number(d["beyond"], 2),
        ]
        for name, by_forces in v["largest_difference_to_C"].items()
        for forces, d in by_forces.items()
    ]
    return Table([*header, "bins beyond two standard errors"], rows)
