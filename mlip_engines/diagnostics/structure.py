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
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.figures import panels, style_of
from mlip_engines.diagnostics.nvt import ConstantTemperature
from mlip_engines.diagnostics.result import Result, Section, Table, number
from mlip_engines.properties.molecules import find_molecules, is_molecular
from mlip_engines.properties.orientation import directions_of, orientational_correlation
from mlip_engines.properties.radial_distribution import largest_radius, pair_distribution
from mlip_engines.simulations.kinetics import species_of
from mlip_engines.simulations.simulation import Simulation, Trajectory

if TYPE_CHECKING:
    from ase import Atoms

    from mlip_engines.simulations.engine import Engine

BIN = 0.1  # Å
BLOCKS = 5
LEFT_OUT = 5  # the first of so many parts of a trajectory
STRIDE_FS = 20.0  # between frames that are looked at
LARGEST_RADIUS = 10.0  # Å


def in_blocks(n: int, first: int) -> list[NDArray[np.int_]]:
    """Return indices from ``first`` to n - 1 in BLOCKS pieces, without empty ones."""
    return [b for b in np.array_split(np.arange(first, n), BLOCKS) if len(b)]


def mean_of_blocks(values: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
    """Mean and standard error (k,) of block values (b, k)."""
    error = (
        values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan * values[0]
    )
    return values.mean(axis=0), error


class Structure:
    """g(r) of all pairs of elements and c_uu(r), from the trajectories with SVR."""

    name: ClassVar[str] = "structure"
    title: ClassVar[str] = "Structure"
    needs_engine: ClassVar[bool] = True
    after: ClassVar[tuple[str, ...]] = ("stride",)

    def simulations(
        self, case: Case, ensembles: tuple[str, ...], earlier: dict[str, Result]
    ) -> dict[str, Simulation]:
        """Return the trajectories of ``nvt`` that have frames."""
        return trajectories_with_frames(case, ensembles, earlier)

    def evaluations(self, case: Case) -> float:
        """Return 0: the trajectories are counted apart."""
        return 0.0

    def measure(
        self,
        case: Case,
        trajectories: dict[str, Trajectory],
        earlier: dict[str, Result],
        engine: Engine | None = None,
    ) -> Result:
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
        n_bins = max(10, int(radius / BIN))
        edges = np.linspace(0.0, radius, n_bins + 1)
        arrays["r_angstrom"] = 0.5 * (edges[1:] + edges[:-1])
        groups = find_molecules(atoms) if is_molecular(atoms) else []
        pairs = list(combinations_with_replacement(species_of(atoms), 2))
        names = ["g_" + "".join(p) for p in pairs] + (["c_uu"] if groups else [])
        values["functions"] = names
        for forces, runs in by_forces.items():
            blocks: dict[str, list[NDArray]] = {name: [] for name in names}
            for run in runs:
                frames = thinned(run)
                for block in in_blocks(len(frames), len(frames) // LEFT_OUT):
                    chosen = frames[block]
                    images = as_atoms(atoms, run, chosen)
                    for pair, name in zip(pairs, names, strict=False):
                        blocks[name].append(pair_distribution(images, pair, radius, n_bins)[1])
                    if groups:
                        centres, directions = directions_of(
                            atoms, groups, run.positions[chosen], run.frame_cell[chosen]
                        )
                        blocks["c_uu"].append(
                            orientational_correlation(
                                centres, directions, run.frame_cell[chosen], edges
                            )
                        )
            values["picoseconds"][forces] = float(sum(run.frame_time_ps[-1] for run in runs))
            for name in names:
                mean, error = mean_of_blocks(np.array(blocks[name]))
                arrays[f"{name}_{forces}"], arrays[f"{name}_{forces}_error"] = mean, error
        values["largest_difference_to_C"] = {
            name: {
                forces: largest_difference(arrays, name, forces)
                for forces in by_forces
                if forces != "C"
            }
            for name in names
        }
        return Result(values, arrays)

    def render(self, result: Result) -> Section:
        """Words, a table and figures."""
        v, section = result.values, Section()
        if not v["periodic"]:
            section.paragraphs.append("The structure is not periodic: it has no g(r).")
            return section
        section.warnings += v.get("left_out", [])  # not in parts of earlier versions
        if not v["functions"]:
            return section
        rows = [
            [
                name,
                forces.replace("M", "M = "),
                number(d["difference"], 3, sign=True),
                number(d["error"], 3),
                f"{d['r_angstrom']:.2f}",
                number(d["beyond"], 2),
            ]
            for name, by_forces in v["largest_difference_to_C"].items()
            for forces, d in by_forces.items()
        ]
        section.tables.append(
            Table(
                [
                    "function",
                    "forces",
                    "largest difference to C",
                    "standard error",
                    "at r, Å",
                    "bins beyond two standard errors",
                ],
                rows,
            )
        )
        section.paragraphs.append(
            "Pair distributions g(r)"
            + (" and orientational correlation c_uu(r)" if "c_uu" in v["functions"] else "")
            + f" under SVR, from {', '.join(f'{p:.1f} ps with {f}' for f, p in v['picoseconds'].items())}. By chance "
            "about one bin in twenty lies beyond two standard errors; errors of a few blocks are themselves uncertain."
        )
        r = result.arrays["r_angstrom"]
        shown = [n for n in v["functions"]][:4]
        figure, axes = panels(len(shown), height=5.2)
        figure.clear()
        grid = figure.subplots(2, len(shown), sharex=True, squeeze=False)
        for k, name in enumerate(shown):
            draw_with_difference(
                grid[0, k], grid[1, k], r, result.arrays, name, list(v["picoseconds"])
            )
            grid[0, k].set_title(name)
            grid[1, k].set_xlabel("r, Å")
        grid[0, 0].legend(frameon=False, fontsize="small")
        grid[1, 0].set_ylabel("difference to C")
        section.figures.append(
            (
                "Above: the functions. Below: their difference to C; bands are two standard errors.",
                figure,
            )
        )
        return section


def trajectories_with_frames(
    case: Case, ensembles: tuple[str, ...], earlier: dict[str, Result]
) -> dict[str, Simulation]:
    """Return the trajectories of ``nvt`` that keep positions and velocities."""
    wanted = ConstantTemperature().simulations(case, ensembles, earlier)
    return {name: s for name, s in wanted.items() if s.frame_every_fs > 0.0}


def grouped(
    trajectories: dict[str, Trajectory],
) -> tuple[dict[str, list[Trajectory]], list[str]]:
    """Return trajectories by the name of their forces, C first, and words about those that are left out.

    What stopped before its time is: it would shorten the blocks of all others. Without C there is nothing to compare
    with, and none is returned.
    """
    result: dict[str, list[Trajectory]] = {}
    words = []
    for name, run in trajectories.items():
        forces = name.split(".")[1]
        if run.stopped or len(run.frame_time_ps) <= 2 * BLOCKS:
            why = f"ended after {run.time_ps[-1]:.2f} ps" if run.stopped else "is too short"
            words.append(f"A run with {forces.replace('M', 'M = ')} {why} and is left out.")
        else:
            result.setdefault(forces, []).append(run)
    if "C" not in result:
        return {}, [*words, "There is no run with C to compare with."]
    return result, words


def thinned(run: Trajectory) -> NDArray[np.int_]:
    """Return indices of frames about STRIDE_FS apart."""
    interval = 1000.0 * (run.frame_time_ps[1] - run.frame_time_ps[0])
    return np.arange(0, len(run.frame_time_ps), max(1, round(STRIDE_FS / interval)))


def as_atoms(atoms: Atoms, run: Trajectory, frames: NDArray[np.int_]) -> list[Atoms]:
    """Return frames of a trajectory as structures."""
    from ase import Atoms as AseAtoms

    return [
        AseAtoms(atoms.symbols, run.positions[k], cell=run.frame_cell[k], pbc=True) for k in frames
    ]


def largest_difference(arrays: dict[str, NDArray], name: str, forces: str) -> dict[str, float]:
    """Largest difference to C in units of its error: where, how much, and the share of bins beyond two errors."""
    difference = arrays[f"{name}_{forces}"] - arrays[f"{name}_C"]
    error = np.hypot(arrays[f"{name}_{forces}_error"], arrays[f"{name}_C_error"])
    use = np.isfinite(difference) & np.isfinite(error) & (error > 0.0)
    if not use.any():
        return {
            "difference": float("nan"),
            "error": float("nan"),
            "r_angstrom": 0.0,
            "beyond": float("nan"),
        }
    ratio = np.where(use, np.abs(difference) / np.where(use, error, 1.0), 0.0)
    k = int(np.argmax(np.where(use, np.abs(difference), 0.0)))
    return {
        "difference": float(difference[k]),
        "error": float(error[k]),
        "r_angstrom": float(arrays["r_angstrom"][k]),
        "beyond": float((ratio[use] > 2.0).mean()),
    }


def draw_with_difference(
    above, below, x: NDArray, arrays: dict[str, NDArray], name: str, forces: list[str]
) -> None:
    """Draw functions and their differences to C, with bands of two standard errors."""
    for f in forces:
        style = style_of(f)
        above.plot(x, arrays[f"{name}_{f}"], **style)
        if f == "C":
            below.fill_between(
                x, -2 * arrays[f"{name}_C_error"], 2 * arrays[f"{name}_C_error"], color="0.85", lw=0
            )
            continue
        difference = arrays[f"{name}_{f}"] - arrays[f"{name}_C"]
        error = 2.0 * np.hypot(arrays[f"{name}_{f}_error"], arrays[f"{name}_C_error"])
        below.plot(x, difference, **style)
        below.fill_between(
            x, difference - error, difference + error, color=style["color"], alpha=0.2, lw=0
        )
    below.axhline(0.0, color="0.5", lw=0.8)
