"""Water in LAMMPS and OpenMM three ways, and what comes of it: one table and one figure.

Runs ``examples/lammps/water_respa.in`` with the installed ``lmp`` and ``examples/openmm/water_respa.py``, from the same
start with the same shipped model, and writes logs, ``table.txt``, ``results.json`` and ``demo.png``.
"""

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

EXAMPLES = Path(__file__).resolve().parent
N_ATOMS = 192
INNER_STEP = 0.5e-3  # ps
COLOURS = {"conservative": "black", "non_conservative": "tab:red"}
STRIDE_COLOURS = (
    "tab:blue",
    "tab:cyan",
    "tab:green",
    "tab:olive",
    "tab:purple",
    "tab:brown",
    "tab:pink",
)


@dataclass(frozen=True)
class Mode:
    """Which forces move the atoms."""

    name: str  # as the inputs of both engines call it
    inner_steps: int = 1  # M of r-RESPA
    colour: str = "black"

    @property
    def label(self) -> str:
        """What the table and the figure call it."""
        labels = {"conservative": "C every step", "non_conservative": "NC only"}
        return labels.get(self.name, f"r-RESPA M = {self.inner_steps}")

    @property
    def file_name(self) -> str:
        """What its files are called."""
        return f"respa_{self.inner_steps}" if self.name == "respa" else self.name

    def steps_between_rows(self) -> int:
        """Inner steps from one line of output to the next, whole outer steps and close to 40."""
        return self.inner_steps * max(1, round(40 / self.inner_steps))

    def whole_steps(self, steps: int) -> int:
        """Inner steps of a run, whole lines of output and close to what was asked for."""
        every = self.steps_between_rows()
        return every * max(1, round(steps / every))


@dataclass
class Run:
    """One trajectory and what it cost."""

    engine: str
    mode: Mode
    time: list[float]  # ps
    total_energy: list[float]  # eV, with the conservative potential energy in every mode
    temperature: list[float]  # K
    ms_per_inner_step: float
    n_non_conservative: int
    n_full: int

    @property
    def drift(self) -> float:
        """Slope of the total energy, meV/atom/ps."""
        return 1000.0 * float(np.polyfit(self.time, self.total_energy, 1)[0]) / N_ATOMS

    @property
    def final_temperature(self) -> float:
        """Mean over the last fifth of the run, K: a single value scatters by 5 %."""
        n_last = max(1, len(self.temperature) // 5)
        return float(np.mean(self.temperature[-n_last:]))


def run_lammps(mode: Mode, options: argparse.Namespace) -> Run:
    """Run the LAMMPS input and read its log."""
    log = options.output / f"lammps_{mode.file_name}.log"
    lmp = Path(sys.executable).with_name("lmp")
    steps = mode.whole_steps(options.steps)
    variables = {"mode": mode.name, "steps": steps, "M": mode.inner_steps}
    variables |= {"every": mode.steps_between_rows(), "seed": options.seed}
    command = [str(lmp), "-in", str(EXAMPLES / "lammps" / "water_respa.in"), "-log", str(log)]
    for name, value in variables.items():
        command += ["-var", name, str(value)]
    execute(command, log.with_suffix(".out"))
    text = log.read_text()
    table = thermo_table(text)
    loop = re.search(r"Loop time of (\S+) on", text)
    if loop is None:
        raise RuntimeError(f"{log}: expected a finished run, found no 'Loop time'")
    return Run(
        "LAMMPS",
        mode,
        table["Time"],
        table["TotEng"],
        table["Temp"],
        1000.0 * float(loop.group(1)) / steps,
        int(table["c_mlip[1]"][-1]),
        int(table["c_mlip[2]"][-1]),
    )


def thermo_table(log: str) -> dict[str, list[float]]:
    """Return the columns of the last thermo output in a log."""
    header, rows = [], []
    for line in log.splitlines():
        words = line.split()
        if words[:1] == ["Step"]:
            header, rows = words, []
        elif header and len(words) == len(header):
            try:
                rows.append([float(word) for word in words])
            except ValueError:
                continue
    return {name: [row[k] for row in rows] for k, name in enumerate(header)}


def run_openmm(mode: Mode, options: argparse.Namespace) -> Run:
    """Run the OpenMM script and read its CSV file."""
    path = options.output / f"openmm_{mode.file_name}.csv"
    command = [sys.executable, str(EXAMPLES / "openmm" / "water_respa.py"), "--mode", mode.name]
    command += ["--steps", str(mode.whole_steps(options.steps))]
    command += ["--every", str(mode.steps_between_rows()), "--inner-steps", str(mode.inner_steps)]
    if options.seed:
        command += ["--temperature", "300", "--seed", str(options.seed)]
    printed = execute([*command, "--output", str(path)], path.with_suffix(".out"))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return Run(
        "OpenMM",
        mode,
        [float(row["time_ps"]) for row in rows],
        [float(row["total_eV"]) for row in rows],
        [float(row["temperature_K"]) for row in rows],
        float(re.search(r"ms_per_inner_step (\S+)", printed).group(1)),
        int(rows[-1]["non_conservative_evaluations"]),
        int(rows[-1]["full_evaluations"]),
    )


def execute(command: list[str], output: Path) -> str:
    """Run a command, keep what it prints in a file, and stop with its last lines if it fails."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    output.write_text(done.stdout)
    if done.returncode != 0:
        last = "\n  ".join(done.stdout.splitlines()[-8:])
        sys.exit(f"{' '.join(command)} failed; all output is in {output}\n  {last}")
    return done.stdout


def table_of(runs: list[Run]) -> str:
    """Return the table as text; the speed-up is over the conservative run of the same engine."""
    lines = [
        "| engine | mode | ms per inner step | speed-up over C | drift, meV/atom/ps | T at the end, K "
        "| evaluations NC-only / full |",
        "|---|---|---|---|---|---|---|",
    ]
    reference = {r.engine: r.ms_per_inner_step for r in runs if r.mode.name == "conservative"}
    for r in runs:
        lines.append(
            f"| {r.engine} | {r.mode.label} | "
            f"{r.ms_per_inner_step:.1f} | {reference[r.engine] / r.ms_per_inner_step:.2f} | "
            f"{r.drift:+.2f} | {r.final_temperature:.0f} | {r.n_non_conservative} / {r.n_full} |"
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
            energy = 1000.0 * (np.array(r.total_energy) - r.total_energy[0]) / N_ATOMS
            style = {"color": r.mode.colour, "lw": 1.4, "label": r.mode.label}
            if r.mode.name == "respa":
                style["ls"] = "--"  # lies on the conservative line where all is well
            axes[0, column].plot(r.time, energy, **style)
            axes[1, column].plot(r.time, r.temperature, **style)
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
    parser.add_argument("--output", type=Path, default=Path("demo"))
    parser.add_argument("--steps", type=int, default=2000, help="inner steps of 0.5 fs")
    parser.add_argument(
        "--inner-steps",
        type=int,
        nargs="+",
        default=[4, 8],
        metavar="M",
        help="of r-RESPA, one or more",
    )
    parser.add_argument("--seed", type=int, default=0, help="if not 0, of new velocities at 300 K")
    parser.add_argument("--engines", nargs="+", default=["lammps", "openmm"])
    options = parser.parse_args()
    if len(options.inner_steps) > len(STRIDE_COLOURS) or min(options.inner_steps) < 1:
        parser.error(
            f"expected 1 to {len(STRIDE_COLOURS)} positive numbers after --inner-steps, got "
            f"{options.inner_steps}"
        )
    options.output.mkdir(parents=True, exist_ok=True)

    engines = {"lammps": run_lammps, "openmm": run_openmm}
    started, runs = time.perf_counter(), []
    modes = [Mode(name, colour=colour) for name, colour in COLOURS.items()]
    strides = zip(options.inner_steps, STRIDE_COLOURS, strict=False)
    modes += [Mode("respa", inner_steps, colour) for inner_steps, colour in strides]
    jobs = [(engine, mode) for engine in options.engines for mode in modes]
    bar = tqdm(jobs, unit="run")
    for engine, mode in bar:
        bar.set_description(f"{engine}, {mode.label}")
        runs.append(engines[engine](mode, options))
    table = table_of(runs)
    (options.output / "table.txt").write_text(table + "\n")
    records = [
        {**asdict(r), "mode": r.mode.name, "inner_steps": r.mode.inner_steps, "drift": r.drift}
        for r in runs
    ]
    (options.output / "results.json").write_text(json.dumps(records, indent=1))
    draw(runs, options.output / "demo.png")
    print(f"\n64 H2O, NVE, {options.steps * INNER_STEP:g} ps, inner step 0.5 fs\n\n{table}\n")
    print(f"{time.perf_counter() - started:.0f} s; logs and figure in {options.output}/")


if __name__ == "__main__":
    main()
