"""Where r-RESPA breaks: drift and temperatures of water against the outer step, in LAMMPS.

    OMP_NUM_THREADS=1 python benchmarks/resonance.py --model water-fast -o resonance

An outer step kicks every bond at the same phase if it is half a period of its vibration long; energy then flows into
the bond, however small the kick. The stretch of O-H takes 9 to 10 fs, so that happens near 4.5 fs. Two remedies of the
literature are tried at every stride: hydrogens of 3.024 g/mol, whose stretch takes 14 to 16 fs, and friction in the
outer step (Langevin dynamics), which takes the energy out again.

For each stride: the drift over --picoseconds in NVE, for both masses, and with friction the mean temperature of H and
of O less that of the bath, without the first four damping times. Stride 1 is conservative dynamics, to compare with.
Writes ``resonance.json`` after each stride, then ``table.md`` and ``resonance.png``.

References
----------
Ma, Izaguirre, Skeel, SIAM J. Sci. Comput. 24, 1951 (2003), for the resonance; Izaguirre, Catarello, Wozniak, Skeel,
J. Chem. Phys. 114, 2090 (2001), for friction; Hopkins, Le Grand, Walker, Roitberg, J. Chem. Theory Comput. 11, 1864
(2015), for heavy hydrogens.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
from ase import Atoms
from matplotlib.figure import Figure
from speed_of_engine import BETWEEN_ROWS_FS, INNER_STEP_FS, water
from tqdm import tqdm

from mlip_engines.simulations import (
    Forces,
    Simulation,
    Trajectory,
    conservation,
    mean_and_error,
    simulate,
    temperatures,
)

TEMPERATURE = 300.0  # K
HEAVY = 3.024  # g/mol


def follow(ensemble: str, stride: int, atoms: Atoms, options: argparse.Namespace) -> Trajectory:
    """Return a trajectory, or what there is of it if it explodes."""
    simulation = Simulation(
        Forces("respa", stride),
        options.picoseconds,
        ensemble,
        inner_step_fs=INNER_STEP_FS,
        temperature_K=TEMPERATURE,
        time_constant_fs=1000.0 * options.damping,
        row_every_fs=BETWEEN_ROWS_FS,
        chunks=1,
    )
    run = simulate(options.model, atoms, simulation, engine="lammps")
    if run.stopped:
        tqdm.write(f"M = {stride}: {run.stopped}")
    return run


def drift(stride: int, hydrogen_mass: float | None, options: argparse.Namespace) -> float:
    """Return the drift in NVE, meV/atom/ps; NaN if the run explodes."""
    atoms = water(1, hydrogen_mass)
    run = follow("nve", stride, atoms, options)
    return math.nan if run.stopped else conservation(atoms, [run]).drift.value


def excess(stride: int, options: argparse.Namespace) -> dict[str, tuple[float, float]]:
    """Return mean and error of the temperature of each element less that of the bath, K; NaN if the run explodes."""
    atoms = water(1, None)
    run = follow("langevin", stride, atoms, options)
    if run.stopped:
        return dict.fromkeys("HO", (math.nan, math.nan))
    settled = run.time_ps > 4.0 * options.damping
    by_element = temperatures(atoms, run, "langevin")
    return {n: tuple(mean_and_error(by_element[n][settled] - TEMPERATURE)) for n in "HO"}


def table_of(rows: list[dict], options: argparse.Namespace) -> str:
    """Return one line for each stride."""
    head = ["M", "outer step, fs", "drift, meV/atom/ps", f"drift, H of {HEAVY} g/mol"]
    head.append(f"excess H / O, K, damping time of {1000 * options.damping:g} fs")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        cells = [str(row["M"]), f"{row['M'] * INNER_STEP_FS:g}"]
        cells += [f"{row[k]:+.2f}" if np.isfinite(row[k]) else "explodes" for k in ("1H", "3H")]
        parts = [row["excess"][n] for n in ("H", "O")]
        is_finite = np.isfinite(parts[0][0])
        cells.append(
            " / ".join(f"{mean:+.1f} ± {error:.1f}" for mean, error in parts)
            if is_finite
            else "explodes"
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(rows: list[dict], options: argparse.Namespace, path: Path) -> None:
    """Draw drifts and temperatures against the outer step."""
    figure = Figure(figsize=(10.0, 4.0))
    left, right = figure.subplots(1, 2)
    step = [row["M"] * INNER_STEP_FS for row in rows]
    for key, name in (("1H", "H of 1.008 g/mol"), ("3H", f"H of {HEAVY} g/mol")):
        left.plot(step, [abs(row[key]) for row in rows], "o-", ms=4, label=name)
    left.set_yscale("symlog", linthresh=0.01)
    left.axhline(0.1, color="grey", ls=":", lw=0.8)
    left.set(xlabel="outer step, fs", ylabel="|drift|, meV/atom/ps", title="NVE")
    left.legend(frameon=False, fontsize="small")
    for name, style in (("H", "o-"), ("O", "s--")):
        values, errors = zip(*(row["excess"][name] for row in rows), strict=True)
        right.errorbar(step, values, errors, fmt=style, ms=4, label=name)
    right.axhline(0.0, color="grey", lw=0.8)
    right.set(
        xlabel="outer step, fs",
        ylabel="excess temperature, K",
        title=f"damping time of {1000 * options.damping:g} fs",
    )
    right.legend(frameon=False, fontsize="small", loc="upper left")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run everything; write everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="water-fast")
    parser.add_argument("--strides", nargs="+", type=int, default=[1, 4, 6, 8, 9, 10, 12, 14, 16])
    parser.add_argument("--picoseconds", type=float, default=2.0, help="of each trajectory")
    parser.add_argument("--damping", type=float, default=0.1, help="ps (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, default=Path("resonance"))
    options = parser.parse_args()
    if options.picoseconds < 8.0 * options.damping:
        parser.error(
            f"--picoseconds must be at least 8 times --damping, of which 4 are left out; got {options.picoseconds:g} "
            f"and {options.damping:g}"
        )
    options.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for stride in tqdm(options.strides, unit="stride"):
        rows.append(
            {
                "M": stride,
                "1H": drift(stride, None, options),
                "3H": drift(stride, HEAVY, options),
                "excess": excess(stride, options),
            }
        )
        (options.output / "resonance.json").write_text(json.dumps(rows, indent=1))
    table = table_of(rows, options)
    (options.output / "table.md").write_text(table)
    draw(rows, options, options.output / "resonance.png")
    print(table)


if __name__ == "__main__":
    main()
