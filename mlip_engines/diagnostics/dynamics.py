r"""Do atoms move as they should? Velocity power spectrum and diffusion coefficient.

Spectra are those of :mod:`mlip_engines.properties.velocity_spectrum`, of area one. D is the slope of the mean square
displacement (:mod:`mlip_engines.properties.diffusion`) relative to the centre of mass of the system, over the second
half of the time that is averaged. A periodic box lets particles diffuse too slowly: D(infinity) = D(L) +
2.837297 kB T/(6 pi eta L), the same shift for C, NC and r-RESPA, so that their differences are not concerned. The
trajectories have a global thermostat (SVR), which hardly disturbs diffusion.

References
----------
Bigi, Langer, Ceriotti, ICML 2025 (arXiv:2412.11569), figure 17; Yeh, Hummer, J. Phys. Chem. B 108, 15873 (2004), for
the size of the box.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlip_engines.diagnostics.appearance import label_of
from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.comparison import (
    BLOCKS,
    LEFT_OUT,
    MOST_SHOWN,
    comparison_figure,
    grouped,
    in_blocks,
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
from mlip_engines.properties.diffusion import diffusion_coefficient, relative_to_centre
from mlip_engines.properties.velocity_spectrum import SEGMENT_PS, THZ_TO_PER_CM, power_spectrum
from mlip_engines.report.numbers import with_error
from mlip_engines.simulations.kinetics import species_of
from mlip_engines.simulations.statistics import Estimate, combine
from mlip_engines.simulations.trajectory import Trajectory

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

LARGEST_WAVENUMBER = 4500.0  # 1/cm
CM2_PER_S = 1e-4  # 1 Å^2/ps
D = "D_1e-5_cm2_per_s"
FEWEST_FRAMES = 8  # of a block, for a spectrum
GROUPS = 8  # of atoms, whose diffusion is compared for its error
LONG_ENOUGH_PS = 5.0  # for a diffusion coefficient that says something


class Dynamics(TrajectoryDiagnostic):
    """Spectra and diffusion, from the trajectories with SVR."""

    name = "dynamics"
    title = "Dynamics"
    in_quick_look = False
    after = ("stride",)

    def simulations(self, case: Case, ensembles: Ensembles, earlier: Results) -> Simulations:
        """The trajectories of ``nvt`` that have frames."""
        return trajectories_with_frames(case, ensembles, earlier)

    def measure(self, case: Case, trajectories: Trajectories) -> Result:
        """Spectrum and diffusion of each element."""
        atoms, elements = case.atoms, species_of(case.atoms)
        by_forces, left_out = grouped(trajectories)
        grid = _wavenumbers(by_forces)
        arrays, diffusion = {"wavenumber_per_cm": grid}, {}
        for forces, runs in by_forces.items():
            for name, spectra in _spectra(atoms, runs, grid).items():
                if spectra:
                    mean, error = mean_of_blocks(np.array(spectra))
                    arrays[f"{name}_{forces}"], arrays[f"{name}_{forces}_error"] = mean, error
            diffusion[forces] = {
                element: {D: 1e5 * CM2_PER_S * d.value, f"{D}_error": 1e5 * CM2_PER_S * d.error}
                for element, d in _diffusion(atoms, runs).items()
            }
        values = {
            "elements": elements,
            "left_out": left_out,
            "diffusion": diffusion,
            "picoseconds": picoseconds(by_forces),
            "edge_angstrom": float(atoms.get_volume() ** (1 / 3)) if atoms.pbc.all() else None,
        }
        return Result(values, arrays)

    def render(self, result: Result) -> Section:
        """Words, a table and figures."""
        v = result.values
        section = Section(warnings=list(v.get("left_out", [])))  # not in parts of earlier versions
        if not v["diffusion"]:
            return section
        section.paragraphs.append(_words(v))
        section.tables.append(_table(v))
        shortest = min(v["picoseconds"].values(), default=0.0)
        if shortest < LONG_ENOUGH_PS:
            section.warnings.append(
                f"Diffusion coefficients are from {shortest:.1f} ps, in which atoms do not leave their cages. They "
                "need tens of picoseconds: compare spectra only."
            )
        names = [
            n for n in ("c_vv", *(f"c_vv_{e}" for e in v["elements"])) if f"{n}_C" in result.arrays
        ]
        if names:
            caption = "Velocity power spectra, and their differences to C with two standard errors."
            section.figures.append((caption, _figure(result, names[:MOST_SHOWN])))
        return section


def _wavenumbers(by_forces: dict[str, list[Trajectory]]) -> NDArray[np.float64]:
    """Return one grid for all, 1/cm, whatever the interval between their frames."""
    lengths = [run.frame_time_ps[-1] for runs in by_forces.values() for run in runs]
    segment_ps = min([SEGMENT_PS, *(length / (BLOCKS + 1) for length in lengths)])
    return np.arange(0.0, LARGEST_WAVENUMBER, THZ_TO_PER_CM / segment_ps)


def _spectra(
    atoms: Atoms, runs: list[Trajectory], grid: NDArray[np.float64]
) -> dict[str, list[NDArray]]:
    """Return spectra of all atoms and of each element in each block of some runs."""
    symbols, masses = np.array(atoms.get_chemical_symbols()), atoms.get_masses()
    groups = {"c_vv": np.ones(len(symbols), bool)}
    groups |= {f"c_vv_{e}": symbols == e for e in species_of(atoms)}
    spectra: dict[str, list[NDArray]] = {name: [] for name in groups}
    for run in runs:
        n, interval = len(run.frame_time_ps), run.frame_time_ps[1] - run.frame_time_ps[0]
        for block in in_blocks(n):
            if len(block) < FEWEST_FRAMES:
                continue
            for name, use in groups.items():
                found = power_spectrum(run.velocities[block][:, use], masses[use], interval)
                spectra[name].append(np.interp(grid, *found, right=0.0))
    return spectra


def _diffusion(atoms: Atoms, runs: list[Trajectory]) -> dict[str, Estimate]:
    """Return the diffusion coefficient of each element, Å^2/ps."""
    symbols, found = np.array(atoms.get_chemical_symbols()), {}
    for run in runs:
        kept = slice(len(run.frame_time_ps) // LEFT_OUT, None)
        still = relative_to_centre(run.positions[kept], atoms.get_masses())
        for element in species_of(atoms):
            d = _diffusion_of_groups(run.frame_time_ps[kept], still[:, symbols == element])
            found.setdefault(element, []).append(d)
    return {element: combine(estimates) for element, estimates in found.items()}


def _diffusion_of_groups(time_ps: NDArray, positions: NDArray) -> Estimate:
    """Diffusion coefficient of the whole, its error from the scatter over groups of atoms, Å^2/ps."""
    whole = diffusion_coefficient(time_ps, positions)
    n_groups = min(GROUPS, positions.shape[1])
    if n_groups < 2:
        return Estimate(whole, float("nan"))
    parts = [diffusion_coefficient(time_ps, positions[:, k::n_groups]) for k in range(n_groups)]
    return Estimate(whole, float(np.std(parts, ddof=1) / np.sqrt(n_groups)))


def _words(v: dict[str, Any]) -> str:
    words = (
        "Velocity power spectra (mass-weighted, of area one) and diffusion coefficients are from trajectories with the "
        "SVR thermostat."
    )
    if v["edge_angstrom"]:
        words += (
            f" In a periodic box of {v['edge_angstrom']:.1f} Å diffusion is slower than in a large one, by "
            "2.837 kT/(6π η L) (Yeh and Hummer); the shift is the same for all forces, and their differences stand."
        )
    return words


def _table(v: dict[str, Any]) -> Table:
    rows = [
        [
            label_of(forces),
            f"{v['picoseconds'][forces]:.1f}",
            *(with_error(d[e][D], d[e][f"{D}_error"]) for e in v["elements"]),
        ]
        for forces, d in v["diffusion"].items()
    ]
    return Table(["forces", "ps", *(f"D of {e}, 10⁻⁵ cm²/s" for e in v["elements"])], rows)


def _figure(result: Result, names: list[str]) -> Figure:
    arrays, x = result.arrays, result.arrays["wavenumber_per_cm"]
    shown = {n: [f for f in result.values["diffusion"] if f"{n}_{f}" in arrays] for n in names}
    figure, axes = comparison_figure(x, arrays, shown, x_label="wavenumber, 1/cm")
    for above, name in zip(axes[0], names, strict=True):
        above.set_title("all" if name == "c_vv" else name.removeprefix("c_vv_"))
    densities = [arrays[f"{name}_C"] for name in names]
    filled = x[np.max([d > 1e-3 * d.max() for d in densities], axis=0)]
    axes[0, 0].set_xlim(0.0, 1.2 * max(filled[-1], x[1]))
    axes[0, 0].set_ylabel("density, cm")
    axes[1, 0].set_ylabel("difference to C, cm")
    return figure
