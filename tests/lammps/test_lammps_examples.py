"""The input scripts in examples/lammps, run as a user runs them."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from mlip_engines.lammps import lammps_command
from structures import STRUCTURES
from tests.lammps.runner import environment, read_thermo, write_data
from train.readers import read_structures

EXAMPLES = Path(__file__).parents[2] / "examples" / "lammps"


@pytest.fixture
def run_example(models, tmp_path):
    """Run an example on a small box; returns what LAMMPS printed."""
    atoms = STRUCTURES["orthogonal"]()
    write_data(tmp_path / "water.data", atoms, ["O", "H"])

    def run(name, check=True, **variables):
        command = [*lammps_command(), "-in", str(EXAMPLES / name), "-log", "none"]
        for key, value in {"model": models["curl"], **variables}.items():
            command += ["-var", key, str(value)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.mark.parametrize("mode", ["conservative", "non_conservative", "respa"])
def test_water_respa_covers_the_same_time_in_every_mode(run_example, mode):
    thermo = read_thermo(run_example("water_respa.in", mode=mode, steps=80, M=8, every=16).stdout)
    assert np.allclose(np.diff(thermo["Time"]), 16 * 0.0005)
    assert thermo["Time"][-1] == pytest.approx(80 * 0.0005)
    evaluations = thermo["c_mlip[1]"][-1] + thermo["c_mlip[2]"][-1]
    assert evaluations == 81  # one in each inner step and one in setup
    if mode == "respa":
        assert thermo["c_mlip[1]"][-1] == 70


def test_water_respa_refuses_another_mode(run_example):
    done = run_example("water_respa.in", check=False, mode="direct")
    assert done.returncode != 0
    assert "expected mode conservative, non_conservative or respa, got direct" in done.stdout


def test_minimise_lowers_the_energy(run_example):
    thermo = read_thermo(run_example("minimise.in", steps=5).stdout)
    assert thermo["PotEng"][1] < thermo["PotEng"][0] - 0.1


def test_sampled_frames_can_be_matched_on(run_example, tmp_path):
    run_example("sample_frames.in", frames=3, output=tmp_path / "frames.extxyz")
    frames = read_structures(tmp_path / "frames.extxyz", labels=False)
    atoms = STRUCTURES["orthogonal"]()
    assert [frame.get_chemical_formula() for frame in frames] == [atoms.get_chemical_formula()] * 3
    np.testing.assert_allclose(frames[0].cell.lengths(), atoms.cell.lengths(), atol=1e-5)
    moved = np.abs(frames[2].get_scaled_positions() - frames[1].get_scaled_positions())
    assert 0.0 < np.median(moved) < 0.1
    assert all(frame.calc is None for frame in frames)
