"""Water through LAMMPS with every thermostat and barostat: temperatures (all, O, H) and conserved quantity.

    python benchmarks/lammps_ensembles.py ensembles --picoseconds 20 --output runs
    python benchmarks/lammps_ensembles.py ensembles --picoseconds 20 --copies 2 --output runs
    python benchmarks/lammps_ensembles.py report --output runs

`ensembles` runs every ensemble of the input ensembles.in with Verlet and r-RESPA M = 1, 4, 8 (conservative forces and
stress), 64 molecules, or 512 with two copies in each direction. A run is made of chunks with a restart file after
each: a command that is given again goes on where it was stopped, and one with more picoseconds makes the runs
longer. `report` prints a table of what is there, in each cell the mean temperature of all atoms (of O, of H) in the
second half, K, and the drift of the conserved quantity (mlip_engines.simulations.drift), meV/atom/ps, with the errors
of correlated series.

How the drift at constant energy depends on the stride, with C and NC beside it, is what mlip-validate tells:

    mlip-validate water --structure examples/water_64.extxyz --only nve stride
"""

import argparse
import csv
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlip_engines.lammps.plugin import lammps_command
from mlip_engines.report.numbers import with_error
from mlip_engines.simulations import energy_drift, mean_and_error

EXAMPLES = Path(__file__).parents[1] / "examples" / "lammps"
COLUMNS = [
    "Step",
    "Time",
    "Temp",
    "c_to",
    "c_th",
    "PotEng",
    "TotEng",
    "Econserve",
    "Press",
    "Volume",
]
THERMOSTATS = ["nvt_langevin", "nvt_nose", "nvt_csvr", "nvt_gle"]
BAROSTATS = [f"{kind}_{box}" for kind in ("npt", "nph") for box in ("iso", "aniso", "tri")]
ENSEMBLES = ["nve", *THERMOSTATS, *BAROSTATS]


@dataclass(frozen=True)
class Run:
    ensemble: str
    inner_steps: int  # 0 is velocity Verlet
    copies: int

    @property
    def name(self) -> str:
        mode = f"M{self.inner_steps}" if self.inner_steps else "verlet"
        return f"{self.ensemble}-{mode}-{64 * self.copies**3}"


def plan(copies: int) -> list[Run]:
    return [Run(ensemble, m, copies) for ensemble in ENSEMBLES for m in (0, 1, 4, 8)]


def advance(run: Run, options: argparse.Namespace, folder: Path) -> bool:
    """Add chunks to a run until it is long enough; False if it stopped before."""
    table = folder / f"{run.name}.csv"
    outer_step = options.inner * max(1, run.inner_steps)  # ps
    while True:
        rows = read(table)
        chunk = 0 if not rows else int(rows[-1]["chunk"]) + 1
        done = 0.0 if not rows else float(rows[-1]["Time"])
        if options.picoseconds - done < 0.5 * outer_step:
            return True
        steps = round(min(options.chunk, options.picoseconds - done) / options.inner)
        previous, following = (folder / f"{run.name}.{k}.restart" for k in (chunk - 1, chunk))
        variables = {
            "ensemble": run.ensemble,
            "M": run.inner_steps,
            "copies": run.copies,
            "steps": steps,
            "inner": options.inner,
            "every": max(16, run.inner_steps),
            "model": options.model,
            "seed": options.seed,
            "noise": 1000 * options.seed + chunk + 1,
            "continue": "yes" if rows else "no",
            "from": previous.resolve(),
            "save": "yes",
            "to": following.resolve(),
            "data": EXAMPLES / "water.data",
            "matrix": EXAMPLES / "gle.A",
        }
        command = [*lammps_command(), "-in", str(EXAMPLES / "ensembles.in"), "-log", "none"]
        for key, value in variables.items():
            command += ["-var", key, str(value)]
        finished = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if finished.returncode != 0:
            (folder / f"{run.name}.failed").write_text(finished.stdout + finished.stderr)
            print(f"{run.name}: stopped in chunk {chunk}, see {run.name}.failed", flush=True)
            return False
        # a chunk that is in the table has its restart file, wherever the process is stopped
        added = parse(finished.stdout)
        write(table, rows, added, chunk)
        previous.unlink(missing_ok=True)
        print(f"{run.name}: {float(added[-1][COLUMNS.index('Time')]):g} ps", flush=True)


def parse(log: str) -> list[list[str]]:
    rows = [line.split() for line in log.splitlines()]
    start = next(k for k, row in enumerate(rows) if row[:2] == COLUMNS[:2])
    table = []
    for row in rows[start + 1 :]:
        if row[:2] == ["Loop", "time"]:
            break
        if len(row) == len(COLUMNS):
            table.append(row)
    return table


def read(table: Path) -> list[dict[str, str]]:
    if not table.exists():
        return []
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def write(table: Path, old: list[dict[str, str]], new: list[list[str]], chunk: int) -> None:
    draft = table.with_suffix(".draft")
    with draft.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["chunk", *COLUMNS])
        writer.writerows([row["chunk"], *(row[c] for c in COLUMNS)] for row in old)
        writer.writerows([chunk, *row] for row in new)
    os.replace(draft, table)


def joined(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One series of all chunks.

    A chunk begins in the state in which the one before it ended, and thermostats may count anew from there: what is
    conserved is shifted so that these two rows are equal, and one of them is left out.
    """
    conserved, keep = columns["Econserve"].copy(), np.full(len(columns["chunk"]), True)
    for first in np.flatnonzero(np.diff(columns["chunk"])) + 1:
        conserved[first:] += conserved[first - 1] - conserved[first]
        keep[first] = False
    return {key: values[keep] for key, values in {**columns, "Econserve": conserved}.items()}


def cell(table: Path) -> tuple[float, str]:
    """Return the ps of a run, and the cell that it has in the report."""
    rows = read(table)
    columns = joined({k: np.array([float(r[k]) for r in rows]) for k in ("chunk", *COLUMNS)})
    time, n_atoms = columns["Time"], 3 * int(table.stem.rsplit("-", 1)[1])
    late = slice(len(time) // 2, None)
    everyone, oxygen, hydrogen = (
        mean_and_error(columns[key][late]) for key in ("Temp", "c_to", "c_th")
    )
    drift = energy_drift(time, columns["Econserve"], n_atoms)
    words = f"{with_error(*everyone, 0)} ({with_error(*oxygen, 0)}, {with_error(*hydrogen, 0)}); "
    return time[-1] - time[0], words + with_error(*drift, sign=True)


def report(folder: Path) -> None:
    """Print a table for each size: an ensemble in each row, Verlet and the strides beside each other."""
    sizes = {int(p.stem.rsplit("-", 1)[1]) for p in folder.glob("*.csv")}
    for size in sorted(sizes):
        runs = plan(round((size / 64) ** (1 / 3)))
        modes = list(dict.fromkeys(run.inner_steps for run in runs))
        print(
            f"| {size} molecules | ps | {' | '.join(f'M = {m}' if m else 'Verlet' for m in modes)} |"
        )
        print("|---" * (2 + len(modes)) + "|")
        for ensemble in ENSEMBLES:
            tables = [folder / f"{run.name}.csv" for run in runs if run.ensemble == ensemble]
            found = [cell(table) if table.exists() else (0.0, "-") for table in tables]
            longest = max(ps for ps, _ in found)
            if longest > 0.0:
                print(f"| {ensemble} | {longest:.2f} | {' | '.join(words for _, words in found)} |")
        print()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("kind", choices=["ensembles", "report"])
    parser.add_argument("--picoseconds", type=float, default=20.0)
    parser.add_argument("--chunk", type=float, default=0.5, help="ps between two restart files")
    parser.add_argument("--inner", type=float, default=0.0005, help="inner time step, ps")
    parser.add_argument("--copies", type=int, default=1, help="2 makes 512 molecules of 64")
    parser.add_argument("--seed", type=int, default=4711)
    parser.add_argument("--model", default="water")
    parser.add_argument("--only", default="", help="runs whose name has this in it")
    parser.add_argument("--output", type=Path, default=Path("lammps_ensembles"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    finished = True
    if options.kind == "ensembles":
        runs = [run for run in plan(options.copies) if options.only in run.name]
        if not runs:
            names = ", ".join(run.name for run in plan(options.copies))
            parser.error(f"--only {options.only} is in no name, expected a part of: {names}")
        finished = all([advance(run, options, options.output) for run in runs])
    report(options.output)
    return 0 if finished else 1


if __name__ == "__main__":
    sys.exit(main())
