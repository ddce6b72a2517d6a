"""Water in LAMMPS and OpenMM three ways, and what comes of it: one table and one figure.

Each run is a simulation of ``mlip_engines.simulations``: 64 water molecules at constant energy, from the same start
with the same shipped model. Writes logs, ``table.txt``, ``results.json`` and ``demo.png``.
"""

import argparse
import json
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import ase.io
import matplotlib
from ase import Atoms
from tqdm import tqdm

from mlip_engines.simulations import (
    CONSERVATIVE,
    NON_CONSERVATIVE,
    EngineError,
    Forces,
    Simulation,
    Trajectory,
    conservation,
    simulate,
    temperatures,
)

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

START = Path(__file__).resolve().parent / "water_64.extxyz"
INNER_STEP_FS = 0.5
ENGINES = {"lammps": "LAMMPS", "openmm": "OpenMM"}
COLOURS = {"C": "black", "NC": "tab:red"}
STRIDE_COLOURS = (
    "tab:blue",
    "tab:cyan",
    "tab:green",
    "tab:olive",
    "tab:purple",
    "tab:brown",
    "tab:pink",
)


@dataclass
class Run:
    """One trajectory, and what the table says of it."""

    engine: str
    simulation: Simulation
    trajectory: Trajectory
    atoms: Atoms
    colour: str

    def __post_init__(self):
        found = conservation(self.atoms, [self.trajectory])
        self.drift = found.drift  # meV/atom/ps
        # of the last fifth, K: a single value scatters by 5 %
        final = found.final_temperatures_K.get("all")  # missing if it blew up at once
        self.final_temperature = final.value if final else float("nan")
        self.temperature = temperatures(self.atoms, self.trajectory, "nve")["all"]  # K
        inner_steps = self.simulation.n_steps * self.forces.inner_steps
        self.ms_per_inner_step = 1000.0 * float(self.trajectory.seconds.sum()) / inner_steps
        counts = self.trajectory.evaluations.sum(axis=0)
        self.n_non_conservative, self.n_full = (int(n) for n in counts)

    @property
    def forces(self) -> Forces:
        """Which forces move the atoms."""
        return self.simulation.forces

    @property
    def label(self) -> str:
        """What the table and the figure call it."""
        labels = {"conservative": "C every step", "non_conservative": "NC only"}
        return labels.get(self.forces.kind, f"r-RESPA {self.forces.label}")

    def record(self) -> dict[str, object]:
        """Return what is kept in results.json."""
        return {
            "engine": self.engine,
            "mode": self.forces.kind,
            "inner_steps": self.forces.inner_steps,
            "time": self.trajectory.time_ps.tolist(),  # ps
            # eV, with the conservative potential energy in every mode
            "total_energy": self.trajectory.conserved_eV.tolist(),
            "temperature": self.temperature.tolist(),  # K
            "ms_per_inner_step": self.ms_per_inner_step,
            "n_non_conservative": self.n_non_conservative,
            "n_full": self.n_full,
            "drift": self.drift.value,  # meV/atom/ps
            "drift_error": self.drift.error,
        }


def run(engine: str, forces: Forces, atoms: Atoms, colour: str, options: argparse.Namespace) -> Run:
    """Run one simulation from the start."""
    simulation = Simulation(
        forces,
        options.steps * INNER_STEP_FS / 1000.0,
        inner_step_fs=INNER_STEP_FS,
        row_every_fs=40 * INNER_STEP_FS,
        chunks=1,
        seed=options.seed,
    )
    folder = options.output / f"{engine}_{forces.file_name}"
    shutil.rmtree(folder, ignore_errors=True)  # a demo shows a run, not what is left of an old one
    trajectory = simulate("water", atoms, simulation, engine, folder)
    return Run(ENGINES[engine], simulation, trajectory, atoms, colour)


def table_of(runs: list[Run]) -> str:
    """Return the table as text; the speed-up is over the conservative run of the same engine and step."""
    lines = [
        "| engine | mode | ms per inner step | speed-up over C at 0.5 fs | drift, meV/atom/ps | T at the end, K "
        "| evaluations NC-only / full |",
        "|---|---|---|---|---|---|---|",
    ]
    reference = {r.engine: r.ms_per_inner_step for r in runs if r.forces == CONSERVATIVE}
    for r in runs:
        lines.append(
            f"| {r.engine} | {r.label} | "
            f"{r.ms_per_inner_step:.1f} | {reference[r.engine] / r.ms_per_inner_step:.2f} | "
            f"{r.drift.value:+.2f} | {r.final_temperature:.0f} | {r.n_non_conservative} / {r.n_full} |"
        )
    return "\n".join(lines)


def draw(runs: list[Run], path: Path) -> None:
    """Draw energy and temperature against time, one column per engine."""
    engines = list(dict.fromkeys(r.engine for r in runs))
    figure, axes = plt.subplots(
        2, len(engines), figsize=(4.6 * len(engines), 5.4), sharex=True, sharey="row", squeeze=False
    )
    for column, engine in enumerate(engines):
        for r in (r for r in runs if r.engine == engine):
            time_ps, energy_eV = r.trajectory.time_ps, r.trajectory.conserved_eV
            energy = 1000.0 * (energy_eV - energy_eV[0]) / len(r.atoms)
            style = {"color": r.colour, "lw": 1.4, "label": r.label}
            if r.forces.kind == "respa":
                style["ls"] = "--"  # lies on the conservative line where all is well
            axes[0, column].plot(time_ps, energy, **style)
            axes[1, column].plot(time_ps, r.temperature, **style)
        axes[0, column].set_title(engine)
        axes[1, column].set_xlabel("time, ps")
    axes[0, 0].set_ylabel("total energy from its start,\nmeV/atom")
    axes[1, 0].set_ylabel("kinetic temperature, K")
    axes[0, 0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> None:
    """Run everything, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output", type=Path, default=Path("demo"), help="folder to write to (default: demo)"
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=2000,
        help="length of each run in inner steps of 0.5 fs (default: 2000)",
    )
    parser.add_argument(
        "--inner-steps",
        type=int,
        nargs="+",
        default=[4, 8],
        metavar="M",
        help="strides of r-RESPA to run (default: 4 8)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="seed of new velocities at 300 K; 0 keeps those of the structure",
    )
    parser.add_argument(
        "--engines",
        nargs="+",
        choices=list(ENGINES),
        default=list(ENGINES),
        help="engines to run (default: both)",
    )
    options = parser.parse_args()
    if len(options.inner_steps) > len(STRIDE_COLOURS) or min(options.inner_steps) < 1:
        parser.error(
            f"expected 1 to {len(STRIDE_COLOURS)} positive numbers after --inner-steps, got "
            f"{options.inner_steps}"
        )
    options.output.mkdir(parents=True, exist_ok=True)

    started, runs, atoms = time.perf_counter(), [], ase.io.read(START)
    choices = [(CONSERVATIVE, COLOURS["C"]), (NON_CONSERVATIVE, COLOURS["NC"])]
    choices += [
        (Forces("respa", m), colour)
        for m, colour in zip(options.inner_steps, STRIDE_COLOURS, strict=False)
    ]
    jobs = [(engine, *choice) for engine in options.engines for choice in choices]
    bar = tqdm(jobs, unit="run")
    for engine, forces, colour in bar:
        bar.set_description(f"{engine}, {forces.label}")
        try:
            runs.append(run(engine, forces, atoms, colour, options))
        except EngineError as e:
            sys.exit(str(e))
    table = table_of(runs)
    (options.output / "table.txt").write_text(table + "\n")
    records = [r.record() for r in runs]
    (options.output / "results.json").write_text(json.dumps(records, indent=1))
    draw(runs, options.output / "demo.png")
    print(
        f"\n64 H2O, NVE, {options.steps * INNER_STEP_FS / 1000.0:g} ps, inner step 0.5 fs\n\n{table}\n"
    )
    print(f"{time.perf_counter() - started:.0f} s; logs and figure in {options.output}/")


if __name__ == "__main__":
    main()
