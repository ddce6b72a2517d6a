"""benchmarks/lammps_*.py: a run that was stopped goes on, and the table says what it should."""

import csv
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_runs_in_parts_are_one_run(models, tmp_path):
    def run(folder, picoseconds):
        command = [sys.executable, str(BENCHMARKS / "lammps_ensembles.py"), "drift"]
        command += ["--picoseconds", str(picoseconds), "--chunk", "0.016", "--only", "M4"]
        command += ["--model", str(models["curl"]), "--output", str(tmp_path / folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        with (tmp_path / folder / "nve-M4-64.csv").open() as file:
            return list(csv.DictReader(file))

    first = run("parts", 0.016)
    parts = run("parts", 0.032)
    assert parts[: len(first)] == first
    assert [row["chunk"] for row in parts] == ["0"] * len(first) + ["1"] * len(first)
    assert parts == run("once", 0.032)
    times = [float(row["Time"]) for row in parts]
    assert times == sorted(times)
    assert abs(times[-1] - 0.032) < 1e-9
