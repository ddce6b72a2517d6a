"""benchmarks/lammps_ensembles.py: a run that was stopped goes on, and the table says what it should."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ENSEMBLES = Path(__file__).parents[2] / "benchmarks" / "lammps_ensembles.py"

pytestmark = pytest.mark.lammps


def run_ensembles(folder, *options):
    command = [sys.executable, str(ENSEMBLES), *options]
    command += ["--output", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line[:1] == "|"]


def read_table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_runs_in_parts_are_one_run(models, tmp_path):
    def run(folder, picoseconds):
        options = ["--picoseconds", str(picoseconds), "--chunk", "0.016", "--only", "nve-M4"]
        run_ensembles(tmp_path / folder, "ensembles", *options, "--model", str(models["curl"]))
        return read_table(tmp_path / folder / "nve-M4-64.csv")

    first = run("parts", 0.016)
    parts = run("parts", 0.024)  # the last chunk is as long as what is left
    assert parts[: len(first)] == first
    assert parts == run("once", 0.024)
    times = [float(row["Time"]) for row in parts]
    assert times == sorted(times)
    assert [row["chunk"] for row in parts] == ["0"] * 3 + ["1"] * 2
    assert abs(times[-1] - 0.024) < 1e-9


def test_report_on_a_thermostat_that_counts_anew_in_each_part(models, tmp_path):
    """The drift is the slope through all parts; an ideal line and the shift between two parts are known."""
    options = ["--picoseconds", "0.064", "--chunk", "0.032", "--only", "nvt_langevin-M4"]
    printed = run_ensembles(tmp_path, "ensembles", *options, "--model", str(models["curl"]))
    rows = read_table(tmp_path / "nvt_langevin-M4-64.csv")
    assert [row["chunk"] for row in rows] == ["0"] * 5 + ["1"] * 5
    assert rows[4]["TotEng"] == rows[5]["TotEng"]
    assert rows[4]["Econserve"] != rows[5]["Econserve"]
    assert printed[-1][:4] == ["nvt_langevin", "0.06", "-", "-"]

    generator = np.random.default_rng(0)
    with (tmp_path / "nve-M8-64.csv").open("w") as file:
        file.write(",".join(rows[0]) + "\n")
        for chunk, start in enumerate((0.0, 1.0)):
            for time in start + np.linspace(0.0, 1.0, 101):
                temperatures = np.array([300.0, 290.0, 305.0]) + generator.normal(size=3)
                conserved = 192e-3 * 0.25 * time + 10.0 * chunk  # 0.25 meV/atom/ps
                values = [chunk, 0, time, *temperatures, 0, 0, conserved, 0, 1000]
                file.write(",".join(map(str, values)) + "\n")
    row = next(row for row in run_ensembles(tmp_path, "report") if row[0] == "nve")
    assert row[1:5] == ["2.00", "-", "-", "-"]
    *temperatures, drift = re.findall(r"([+\d.]+) ± ([\d.]+)", row[5])
    assert drift == ("+0.25", "0.00")
    for expected, (mean, error) in zip((300.0, 290.0, 305.0), temperatures, strict=True):
        assert (
            abs(float(mean) - expected) < 1.0
        )  # rounded; four errors, of 100 values that scatter by 1
        assert error == "0"
