"""The demo, shorter, and the start that both of its engines share."""

import json
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = [pytest.mark.lammps, pytest.mark.openmm]


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
    command = [sys.executable, EXAMPLES / "demo.py", "--output", tmp_path, "--steps", "160"]
    command += ["--inner-steps", "8"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    records = json.loads((tmp_path / "results.json").read_text())
    counts = {(r["engine"], r["mode"]): (r["n_non_conservative"], r["n_full"]) for r in records}
    # 7 and 1 in each of 20 outer steps. The setup costs one full evaluation; in OpenMM the energy of the start is
    # asked for before anybody needs the head, which costs one evaluation of it.
    assert counts["LAMMPS", "respa"] == (140, 21)
    assert counts["OpenMM", "respa"] == (141, 21)
    for engine in ("LAMMPS", "OpenMM"):
        assert counts[engine, "conservative"] == (0, 161)
    drifts = {(r["engine"], r["mode"]): (r["drift"], r["drift_error"]) for r in records}
    for mode in ("conservative", "non_conservative", "respa"):  # the same start in both engines
        assert drifts["LAMMPS", mode] == pytest.approx(drifts["OpenMM", mode], abs=0.05)
    assert drifts["LAMMPS", "non_conservative"][0] > 5.0
    assert done.stdout.count("| LAMMPS |") == done.stdout.count("| OpenMM |") == 3
    assert (tmp_path / "demo.png").stat().st_size > 10_000
