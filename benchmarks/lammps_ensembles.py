"""Drift of the conserved energy and temperatures (all, O, H) of water through LAMMPS, at many strides.

    python benchmarks/lammps_ensembles.py drift --picoseconds 20 --output runs
    python benchmarks/lammps_ensembles.py ensembles --picoseconds 20 --copies 2 --output runs

`drift` runs NVE with C, NC and r-RESPA M = 2, 4, 8, 16, `ensembles` every thermostat and barostat of the input
ensembles.in with Verlet and M = 1, 4, 8. A run is made of chunks with a restart file after each: a command
that is given again goes on where it was stopped, and one with more picoseconds makes the runs longer.
`report` prints the table of what is there.
"""

import argparse
import csv
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlip_engines.lammps import lammps_command

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
BLOCKS = 10  # for errors of means


@dataclass(frozen=True)
class Run:
    ensemble: str
    inner_steps: int  # 0 is velocity Verlet
    forces: str
    copies: int

    @property
    def name(self) -> str:
        mode = f"M{self.inner_steps}" if self.inner_steps else f"verlet_{self.forces}"
        return f"{self.ensemble}-{mode}-{64 * self.copies**3}"


def plan(kind: str, copies: int) -> list[Run]:
    if kind == "drift":
        strides = [Run("nve", m, "conservative", copies) for m in (2, 4, 8, 16)]
        verlet = [Run("nve", 0, forces, copies) for forces in ("conservative", "non_conservative")]
        return [verlet[0], *strides, verlet[1]]
    names = ["nve", *THERMOSTATS, *BAROSTATS]
    return [Run(name, m, "conservative", copies) for name in names for m in (0, 1, 4, 8)]


def advance(run: Run, options: argparse.Namespace, folder: Path) -> None:
    """Add chunks to a run until it is long enough."""
    table = folder / f"{run.name}.csv"
    while True:
        rows = read(table)
        chunk = 0 if not rows else int(rows[-1]["chunk"]) + 1
        if rows and chunk * options.chunk >= options.picoseconds - 1e-9:
            return
        steps = round(options.chunk / options.inner)
        previous, following = (folder / f"{run.name}.{k}.restart" for k in (chunk - 1, chunk))
        variables = {
            "ensemble": run.ensemble,
            "M": run.inner_steps,
            "forces": run.forces,
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
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            (folder / f"{run.name}.failed").write_text(done.stdout + done.stderr)
            print(f"{run.name}: stopped in chunk {chunk}, see {run.name}.failed", flush=True)
            return
        # a chunk that is in the table has its restart file, wherever the process is stopped
        write(table, rows, parse(done.stdout), chunk)
        previous.unlink(missing_ok=True)
        print(f"{run.name}: {(chunk + 1) * options.chunk:g} ps", flush=True)


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


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    blocks = values[: len(values) // BLOCKS * BLOCKS].reshape(BLOCKS, -1).mean(axis=1)
    return blocks.mean(), blocks.std(ddof=1) / np.sqrt(BLOCKS)


def drift(columns: dict[str, np.ndarray], n_atoms: int) -> float:
    """Slope of the conserved quantity, meV/atom/ps; thermostats may count anew in each chunk."""
    time, energy = columns["Time"].copy(), columns["Econserve"].copy()
    for chunk in np.unique(columns["chunk"]):
        rows = columns["chunk"] == chunk
        time[rows] -= time[rows].mean()
        energy[rows] -= energy[rows].mean()
    return 1000.0 * float((time * energy).sum() / (time**2).sum()) / n_atoms


def report(folder: Path) -> None:
    print("run, picoseconds, drift meV/atom/ps, mean temperatures K: all, O, H (second half)")
    for table in sorted(folder.glob("*.csv")):
        rows = read(table)
        columns = {key: np.array([float(row[key]) for row in rows]) for key in ("chunk", *COLUMNS)}
        if len(rows) < 4 * BLOCKS:
            continue
        name = table.stem
        slope = drift(columns, 3 * int(name.rsplit("-", 1)[1]))
        length = columns["Time"].max() - columns["Time"].min()
        half = len(rows) // 2
        temperatures = [mean_and_error(columns[key][half:]) for key in ("Temp", "c_to", "c_th")]
        shown = "  ".join(f"{mean:6.1f} +- {error:4.1f}" for mean, error in temperatures)
        print(f"{name:34s} {length:6.1f}  {slope:+9.3f}  {shown}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("kind", choices=["drift", "ensembles", "report"])
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
    if options.kind != "report":
        for run in plan(options.kind, options.copies):
            if options.only in run.name:
                advance(run, options, options.output)
    report(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
