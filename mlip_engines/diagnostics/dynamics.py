r"""Do atoms move as they should? Velocity power spectrum and diffusion coefficient.

c_vv(nu) is the power spectrum of the velocities by Welch's method (:func:`scipy.signal.welch`), mass-weighted and
summed over the atoms of an element, so that its integral is a constant times the kinetic energy: it is normalised to
one, a density of vibrations. D is the slope of the mean square displacement, <|r(t) - r(0)|^2> = 6 D t, relative to the
centre of mass of
the system, over the second half of the time that is averaged. A periodic box of edge L lets particles diffuse too
slowly: D(infinity) = D(L) + 2.837297 kB T/(6 pi eta L), the same shift for C, NC and r-RESPA, so that
their differences are not concerned. The trajectories have a global thermostat (SVR), which hardly disturbs diffusion.

References
----------
Bigi, Langer, Ceriotti, ICML 2025 (arXiv:2412.11569), figure 17; Welch, IEEE Trans. Audio Electroacoust. 15, 70 (1967);
Yeh, Hummer, J. Phys. Chem. B 108, 15873 (2004), for the size of the box.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.figures import panels
from mlip_engines.diagnostics.result import Result, Section, Table, with_error
from mlip_engines.diagnostics.structure import (
    BLOCKS,
    LEFT_OUT,
    draw_with_difference,
    grouped,
    in_blocks,
    mean_of_blocks,
    trajectories_with_frames,
)
from mlip_engines.properties.diffusion import diffusion_coefficient, relative_to_centre
from mlip_engines.properties.velocity_spectrum import SEGMENT_PS, THZ_TO_PER_CM, power_spectrum
from mlip_engines.simulations.kinetics import species_of
from mlip_engines.simulations.simulation import Simulation, Trajectory
from mlip_engines.simulations.statistics import Estimate, combine

if TYPE_CHECKING:
    from mlip_engines.simulations.engine import Engine

LARGEST_WAVENUMBER = 4500.0  # 1/cm
CM2_PER_S = 1e-4  # 1 Å^2/ps


class Dynamics:
    """Spectra and diffusion, from the trajectories with SVR."""

    name: ClassVar[str] = "dynamics"
    title: ClassVar[str] = "Dynamics"
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
        """Spectrum and diffusion of each element."""
        atoms, arrays = case.atoms, {}
        symbols, masses = np.array(atoms.get_chemical_symbols()), atoms.get_masses()
        elements = species_of(atoms)
        names = ["c_vv", *(f"c_vv_{e}" for e in elements)]
        diffusion: dict[str, Any] = {}
        by_forces, left_out = grouped(trajectories)
        # one grid for all, whatever the interval between their frames
        segment_ps = SEGMENT_PS
        for runs in by_forces.values():
            segment_ps = min(segment_ps, *(run.frame_time_ps[-1] / (BLOCKS + 1) for run in runs))
        grid = np.arange(0.0, LARGEST_WAVENUMBER, THZ_TO_PER_CM / segment_ps)
        arrays["wavenumber_per_cm"] = grid
        for forces, runs in by_forces.items():
            spectra: dict[str, list[NDArray]] = {name: [] for name in names}
            coefficients: dict[str, list[Estimate]] = {e: [] for e in elements}
            for run in runs:
                n, interval = len(run.frame_time_ps), run.frame_time_ps[1] - run.frame_time_ps[0]
                for block in in_blocks(n, n // LEFT_OUT):
                    for name, element in zip(names, [None, *elements], strict=True):
                        use = np.ones(len(symbols), bool) if element is None else symbols == element
                        if len(block) >= 8:
                            found = power_spectrum(
                                run.velocities[block][:, use], masses[use], interval
                            )
                            spectra[name].append(np.interp(grid, *found, right=0.0))
                kept = slice(n // LEFT_OUT, n)
                still = relative_to_centre(run.positions[kept], masses)
                for element in elements:
                    coefficients[element].append(
                        _diffusion_of_blocks(run.frame_time_ps[kept], still[:, symbols == element])
                    )
            for name in names:
                if spectra[name]:
                    mean, error = mean_of_blocks(np.array(spectra[name]))
                    arrays[f"{name}_{forces}"], arrays[f"{name}_{forces}_error"] = mean, error
            diffusion[forces] = {}
            for element in elements:
                d = combine(coefficients[element])
                diffusion[forces][element] = {
                    "D_1e-5_cm2_per_s": 1e5 * CM2_PER_S * d.value,
                    "D_1e-5_cm2_per_s_error": 1e5 * CM2_PER_S * d.error,
                }
        values = {
            "elements": elements,
            "left_out": left_out,
            "diffusion": diffusion,
            "picoseconds": {
                f: float(sum(r.frame_time_ps[-1] for r in rs)) for f, rs in by_forces.items()
            },
            "edge_angstrom": float(atoms.get_volume() ** (1 / 3)) if atoms.pbc.all() else None,
        }
        return Result(values, arrays)

    def render(self, result: Result) -> Section:
        """Words, a table and figures."""
        v, section = result.values, Section()
        section.warnings += v.get("left_out", [])  # not in parts of earlier versions
        if not v["diffusion"]:
            return section
        key = "D_1e-5_cm2_per_s"
        rows = [
            [
                forces.replace("M", "M = "),
                f"{v['picoseconds'][forces]:.1f}",
                *(with_error(d[e][key], d[e][f"{key}_error"]) for e in v["elements"]),
            ]
            for forces, d in v["diffusion"].items()
        ]
        section.tables.append(
            Table(["forces", "ps", *(f"D of {e}, 10⁻⁵ cm²/s" for e in v["elements"])], rows)
        )
        words = "Velocity power spectra (mass-weighted, of area one) and diffusion coefficients under SVR."
        if v["edge_angstrom"]:
            words += (
                f" In a periodic box of {v['edge_angstrom']:.1f} Å diffusion is slower than in a large one, by "
                "2.837 kT/(6π η L) (Yeh and Hummer); the shift is the same for all forces, and their differences stand."
            )
        section.paragraphs.append(words)
        shortest = min(v["picoseconds"].values(), default=0.0)
        if shortest < 5.0:
            section.warnings.append(
                f"Diffusion coefficients from {shortest:.1f} ps: atoms have not left their cages. They need tens of "
                "picoseconds; compare spectra only."
            )
        names = [
            n for n in ("c_vv", *(f"c_vv_{e}" for e in v["elements"])) if f"{n}_C" in result.arrays
        ][:4]
        if names:
            figure, _ = panels(len(names), height=5.2)
            figure.clear()
            grid = figure.subplots(2, len(names), sharex=True, squeeze=False)
            x = result.arrays["wavenumber_per_cm"]
            for k, name in enumerate(names):
                shown = [f for f in v["diffusion"] if f"{name}_{f}" in result.arrays]
                draw_with_difference(grid[0, k], grid[1, k], x, result.arrays, name, shown)
                grid[0, k].set_title("all" if name == "c_vv" else name.removeprefix("c_vv_"))
                grid[1, k].set_xlabel("wavenumber, 1/cm")
            densities = [result.arrays[f"{n}_C"] for n in names]
            filled = x[np.max([d > 1e-3 * d.max() for d in densities], axis=0)]
            grid[0, 0].set_xlim(0.0, 1.2 * max(filled[-1], x[1]))
            grid[0, 0].set_ylabel("density, cm")
            grid[1, 0].set_ylabel("difference to C, cm")
            grid[0, 0].legend(frameon=False, fontsize="small")
            section.figures.append(
                (
                    "Velocity power spectra, and their differences to C with two standard errors.",
                    figure,
                )
            )
        return section


def _diffusion_of_blocks(time_ps: NDArray, positions: NDArray) -> Estimate:
    """Diffusion coefficient of the whole, its error from the scatter over groups of atoms, Å^2/ps."""
    whole = diffusion_coefficient(time_ps, positions)
    n_groups = min(8, positions.shape[1])
    if n_groups < 2:
        return Estimate(whole, float("nan"))
    parts = [diffusion_coefficient(time_ps, positions[:, k::n_groups]) for k in range(n_groups)]
    return Estimate(whole, float(np.std(parts, ddof=1) / np.sqrt(n_groups)))
