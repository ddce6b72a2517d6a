"""The examples as a user runs them, on a small box and an exact model."""

import csv
import subprocess
import sys
from pathlib import Path

import ase.units
import numpy as np
import pytest
from ase.io import read, write

from pair_oracle import pair_sums
from tests.openmm.argon import ARGON, argon, velocities
from tests.openmm.conftest import BASELINE
from tolerances import TOLERANCE

EXAMPLES = Path(__file__).parents[2] / "examples" / "openmm"


@pytest.fixture
def start(tmp_path) -> Path:
    atoms = argon()
    atoms.set_velocities(velocities(len(atoms)) / (1000 * ase.units.fs))
    write(tmp_path / "start.extxyz", atoms, columns=["symbols", "positions", "momenta"])
    return tmp_path / "start.extxyz"


def run(
    script: str, *arguments: object, expect_failure: bool = False
) -> subprocess.CompletedProcess:
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (finished.returncode != 0) == expect_failure, finished.stderr
    return finished


@pytest.mark.parametrize(
    "mode, evaluations",
    [("conservative", (0, 49)), ("non_conservative", (49, 4)), ("respa", (37, 13))],
)
def test_water_respa(models, start, tmp_path, mode, evaluations):
    output = tmp_path / "energies.csv"
    finished = run(
        "water_respa.py", "--model", models["argon"], "--structure", start, "--mode", mode,
        "--inner-steps", 4, "--steps", 48, "--every", 16, "--dt", 2.0, "--output", output,
    )  # fmt: skip
    with output.open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["time_ps"]) for row in rows] == [0.0, 0.032, 0.064, 0.096]
    first = rows[0]
    energy = pair_sums(read(start), **ARGON)[0] + 32 * BASELINE["Ar"]
    assert float(first["potential_eV"]) == pytest.approx(energy, abs=TOLERANCE["float64"].energy)
    assert float(first["kinetic_eV"]) == pytest.approx(read(start).get_kinetic_energy(), rel=1e-5)
    total = [float(row["total_eV"]) for row in rows]
    assert np.ptp(total) < 0.01
    counts = tuple(int(rows[-1][f"{k}_evaluations"]) for k in ("non_conservative", "full"))
    assert counts == evaluations
    assert float(finished.stdout.split("ms_per_inner_step")[1].split()[0]) > 0


def test_water_respa_refuses_rows_inside_an_outer_step(models, start):
    finished = run(
        "water_respa.py", "--model", models["argon"], "--structure", start, "--inner-steps", 8,
        "--every", 12, expect_failure=True,
    )  # fmt: skip
    assert "--every must be a multiple of --inner-steps" in finished.stderr


def test_minimise(models, start, tmp_path):
    output = tmp_path / "minimum.pdb"
    run(
        "minimise.py", "--model", models["argon"], "--structure", start, "--tolerance", 0.1,
        "--output", output,
    )  # fmt: skip
    energies = [pair_sums(atoms, **ARGON)[0] for atoms in (read(start), read(output))]
    assert energies[1] < energies[0] - 0.01
