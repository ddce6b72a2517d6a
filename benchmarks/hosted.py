"""A model of another package: its numbers and its time in this package, beside the package's own ASE calculator.

    OMP_NUM_THREADS=1 .venv-adapters/e3nn-0.5/bin/python benchmarks/hosted.py sevennet 7net-0 -o 7net-0.json

Exports the model for H and O with the adapter of that name, in float32 and float64, then takes turns: steps of
LAMMPS with the model file, and evaluations of energy and forces by the package's calculator at positions that change,
on --copies^3 times 64 molecules of water. The calculator does no dynamics, so the comparison is to its favour. Also the
memory per atom of a LAMMPS run, and the largest differences of energy, forces and stress.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from speed_of_engine import INNER_STEP_FS, timed, water

from mlip_engines.adapters import find_adapter
from mlip_engines.checkpoints import export_network
from mlip_engines.simulations import CONSERVATIVE, make_engine

# Resident memory of a LAMMPS run, one process, in MiB.
_MEMORY = """
import resource, sys
from ase.io import read
from pathlib import Path
from mlip_engines.simulations import CONSERVATIVE, make_engine
atoms = read(sys.argv[2])
engine = make_engine("lammps", sys.argv[1])
engine.time_steps([CONSERVATIVE], atoms, 0.5, 2, 1, lambda forces: None)
print("MiB", max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024)
"""


def memory(model: Path, copies: int) -> float:
    """Return the largest resident memory of a short run, MiB."""
    with tempfile.TemporaryDirectory(prefix="hosted-") as folder:
        start = Path(folder) / "start.extxyz"
        water(copies, None).write(start)
        command = [sys.executable, "-c", _MEMORY, str(model), str(start)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(re.search(r"MiB ([\d.]+)", done.stdout).group(1))


def measured(adapter: str, file: str, dtype: str, options: argparse.Namespace) -> dict:
    """Return what is measured of one model in one precision."""
    atoms = water(options.copies, None)
    with tempfile.TemporaryDirectory(prefix="hosted-") as folder:
        model = Path(folder) / "model.pt"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened = find_adapter(adapter)(file, ["H", "O"], dtype)
            metadata = export_network(
                opened, model, dtype, short_range="none", compare_on=[water(1, None)]
            )
        theirs: list[float] = []
        moving = atoms.copy()
        moving.calc = opened.reference
        random = np.random.default_rng(1)

        def evaluate_theirs(_) -> None:
            for _ in range(options.steps):
                moving.positions += 1e-3 * random.normal(size=moving.positions.shape)
                theirs.append(timed(moving.get_forces))

        engine = make_engine("lammps", str(model))
        ours = engine.time_steps(
            [CONSERVATIVE], atoms, INNER_STEP_FS, options.steps, options.turns, evaluate_theirs
        )[CONSERVATIVE.file_name]
        megabytes = memory(model, options.copies) if options.memory else None
        small = memory(model, 1) if options.memory and options.copies > 1 else None
    return {
        "dtype": dtype,
        "comparison": metadata.comparison,
        "atoms": len(atoms),
        "lammps_ms": statistics.median(ours),
        "calculator_ms": statistics.median(theirs),
        "ratio": statistics.median(theirs) / statistics.median(ours),
        "lammps_MiB": megabytes,
        "MiB_per_1000_atoms": None
        if small is None
        else 1000.0 * (megabytes - small) / (len(atoms) - 192),
    }


def main() -> None:
    """Measure, print a row for each precision, write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("adapter", help="name of the adapter, as after mlip-export --from")
    parser.add_argument("file", help="what the adapter takes")
    parser.add_argument("--copies", type=int, default=1, help="of the box, in each direction")
    parser.add_argument("--steps", type=int, default=3, help="in each turn")
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--memory", action="store_true", help="of a LAMMPS run as well")
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args()
    rows = []
    for dtype in options.dtypes:
        row = measured(options.adapter, options.file, dtype, options)
        rows.append(row)
        options.output.write_text(json.dumps(rows, indent=1))
        c = row["comparison"]
        print(
            f"{options.adapter} {options.file} {dtype}: LAMMPS {row['lammps_ms']:.0f} ms per step, "
            f"{c['calculator']} {row['calculator_ms']:.0f} ms, ratio {row['ratio']:.2f}; differences "
            f"{c['energy_per_atom']:.0e} eV/atom, {c['forces']:.0e} eV/Å, {c.get('stress', float('nan')):.0e} eV/Å^3"
            + (f"; {row['lammps_MiB']:.0f} MiB" if row["lammps_MiB"] else "")
        )


if __name__ == "__main__":
    main()
