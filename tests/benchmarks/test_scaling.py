"""benchmarks/scaling_model.py and lammps_scaling.py: costs of many processes, in closed form and measured."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_page_on_scaling_has_the_tables_that_the_model_of_the_costs_prints():
    page = (BENCHMARKS.parent / "docs" / "measurements" / "scaling.md").read_text()
    commands = re.findall(r"^    python benchmarks/(scaling_model.py .*)$", page, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        script, *arguments = command.split()
        done = subprocess.run(
            [sys.executable, str(BENCHMARKS / script), *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() in page, command


def test_edges_across_a_boundary_are_those_of_atoms_spread_evenly():
    """The closed form against a sum over pairs of random points, of which it is the mean."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from scaling_model import DENSITY, edges_across
    finally:
        sys.path.remove(str(BENCHMARKS))
    random = np.random.default_rng(0)
    edge, cutoff, n = 7.0, 4.5, 400_000
    start = random.uniform(0.0, edge, (n, 3))
    direction = random.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    end = start + direction * (cutoff * random.random(n) ** (1 / 3))[:, None]
    share = np.mean(((end < 0.0) | (end > edge)).any(axis=1))
    n_edges = (DENSITY * edge**3) * (DENSITY * 4.0 / 3.0 * np.pi * cutoff**3)
    error = np.sqrt(share * (1.0 - share) / n)
    assert abs(edges_across(edge, cutoff) / n_edges - share) < 4.0 * error


@pytest.mark.lammps
def test_scaling_is_measured_on_one_process_and_two(models):
    """Of a box that is smaller than the halo, each of two processes evaluates all, or with an exchange half."""
    command = [sys.executable, str(BENCHMARKS / "lammps_scaling.py"), "strong", "--rounds", "1"]
    command += ["--copies", "1", "1", "1", "--processes", "1", "2", "--steps", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    found = {(row[0].strip(), row[1].strip()): int(row[3]) for row in rows}
    assert found == {("1", "-"): 192, ("2", "exchange"): 96, ("2", "halo"): 192}
