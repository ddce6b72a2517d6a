"""Every example runs as its first lines say, only shorter."""

import json
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest

from mlip_engines.lammps import build_plugin, lammps_command

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
MODES = ["conservative", "non_conservative", "respa"]

pytestmark = [pytest.mark.lammps, pytest.mark.openmm]


@pytest.fixture(scope="module", autouse=True)
def plugin():
    return build_plugin()


def run(*command, folder=ROOT):
    done = subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("mode", MODES)
def test_lammps_water(tmp_path, mode):
    script, log = EXAMPLES / "lammps" / "water_respa.in", tmp_path / "log"
    run(*lammps_command(), "-in", script, "-log", log, "-var", "mode", mode, "-var", "steps", 80)
    assert "Loop time" in log.read_text()


@pytest.mark.parametrize("folder", [ROOT, EXAMPLES, EXAMPLES / "lammps"])
def test_lammps_water_finds_its_data_from_where_it_is_started(folder):
    script = EXAMPLES / "lammps" / "water_respa.in"
    if folder == EXAMPLES:
        variables = ["-var", "data", "lammps/water.data"]
    else:
        variables = []
    run(*lammps_command(), "-in", script, "-log", "none", "-var", "steps", 8, *variables, folder=folder)


@pytest.mark.parametrize("mode", MODES)
def test_openmm_water(tmp_path, mode):
    script, table = EXAMPLES / "openmm" / "water_respa.py", tmp_path / "water.csv"
    run(sys.executable, script, "--mode", mode, "--steps", 80, "--output", table)
    assert len(table.read_text().splitlines()) == 4  # a header, the start, two rows


def test_minimisation_in_both_engines_lowers_the_energy():
    script = EXAMPLES / "lammps" / "minimise.in"
    output = run(*lammps_command(), "-in", script, "-log", "none", "-var", "steps", 10)
    line = output.split("Energy initial, next-to-last, final")[1].splitlines()[1]
    first, _, last = map(float, line.split())
    assert last < first - 0.1
    run(sys.executable, EXAMPLES / "openmm" / "minimise.py", "--iterations", 10)


def test_both_engines_start_from_the_same_water():
    atoms = ase.io.read(EXAMPLES / "water_64.extxyz")
    data = ase.io.read(
        EXAMPLES / "lammps" / "water.data", format="lammps-data", units="metal", atom_style="atomic"
    )
    order = np.argsort(data.arrays["id"])
    np.testing.assert_allclose(data.positions[order], atoms.positions, atol=1e-5)
    np.testing.assert_allclose(data.get_velocities()[order], atoms.get_velocities(), atol=1e-5)
    assert atoms.get_temperature() == pytest.approx(300.0, abs=2.0)


def test_demo_tables_three_modes_of_both_engines_with_their_counts(tmp_path):
    output = run(sys.executable, EXAMPLES / "demo.py", "--output", tmp_path, "--steps", 80)
    records = json.loads((tmp_path / "results.json").read_text())
    counts = {(r["engine"], r["mode"]): (r["n_non_conservative"], r["n_full"]) for r in records}
    for engine in ("LAMMPS", "OpenMM"):
        assert counts[engine, "respa"] == (70, 11)  # 7 and 1 for each of 10 outer steps, 1 at the start
        assert counts[engine, "conservative"] == (0, 81)
    assert output.count("| LAMMPS |") == output.count("| OpenMM |") == 3
    assert (tmp_path / "demo.png").stat().st_size > 10_000
